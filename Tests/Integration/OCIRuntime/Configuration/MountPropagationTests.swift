internal import LinuxKernel
internal import Testing

/// The propagation of a mount: what is mounted on the host while the container runs, and by the container.
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

    static let waysToBind = [
        "by a container of the host's users": ".",
        "by one of a user namespace": #"""
        .linux.uidMappings = [{"containerID": 0, "hostID": 0, "size": 65536}] | .linux.gidMappings = .linux.uidMappings
        | .linux.namespaces += [{"type": "user"}]
        """#,
    ]

    @Test(arguments: RuntimeUnderTest.allCases, waysToBind.keys.sorted())
    func whatAContainerMountsInABindStaysInside(_ kind: RuntimeUnderTest, _ way: String) async throws {
        try await OCIFixture.with(kind) { fixture in
            let change = try #require(Self.waysToBind[way])
            try await fixture.expectMountsStayInside(change, bind: "{}")
        }
    }
}

extension OCIFixture {
    /// Binds a shared mount of the host, and mounts a tmpfs in it as the container's root.
    ///
    /// - Parameter bind: more of the bind's fields, as JSON.
    func expectMountsStayInside(_ change: String, bind: String) async throws {
        let data = try scratch.directory("data").string
        try await Program.system("mount").check("-t", "tmpfs", "tmpfs", data)
        try await Program.system("mount").check("--make-shared", data)
        try scratch.directory("data/inner")
        let output = try await shell(
            "mount -t tmpfs tmpfs /data/inner && touch /data/inner/file && ls /data/inner",
            """
            \(change) | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])
            | .mounts += [{"destination": "/data", "type": "bind", "source": "\(data)", "options": ["rbind"]} + \(bind)]
            """)
        #expect(output.shown == ["file"], "\(output)")
        #expect(try Files.list(scratch.appending("data/inner")) == [])
        #expect(try !MountTable.read().contains { $0.target == data + "/inner" })
    }
}
