internal import Testing

/// The propagation options of a mount: what is mounted on the host while the container runs.
@Suite struct OCIMountPropagationTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func slavesSeeTheHostsLaterMountsAndPrivateOnesDoNot(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let data = try fixture.scratch.directory("data").string
            try fixture.scratch.directory("data/later")
            try await Program.system("mount").check("--bind", data, data)
            try await Program.system("mount").check("--make-shared", data)
            try await fixture.start(
                change: """
                    .mounts += ["rslave", "rprivate", "rshared" | {"destination": "/\\(.)", "type": "bind", "source": "\(data)",
                        "options": ["rbind", .]}]
                    """)
            try await Program.system("mount").check("-t", "tmpfs", "tmpfs", data + "/later")
            try fixture.scratch.file("data/later/file", "")
            let output = try await fixture.exec(
                """
                for p in rslave rprivate rshared; do test -e /$p/later/file && echo $p
                awk -v m=/$p '$5 == m { for (i = 7; $i != "-"; i++) print substr($i, 1, index($i, ":") - 1) }' /proc/self/mountinfo
                done
                """)
            #expect(output.shown == ["rslave", "master", "rshared", "shared", "master"], "\(output)")
        }
    }
}
