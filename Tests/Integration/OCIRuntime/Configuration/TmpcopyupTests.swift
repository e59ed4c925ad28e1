internal import Testing

/// The option `tmpcopyup` of a tmpfs.
@Suite struct OCITmpcopyupTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func tmpfsBeginsWithWhatItCovers(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let configuration = try fixture.scratch.file("bundle/rootfs/etc/app/conf", "kept\n", mode: 0o640)
            try await Program.system("chown").check("0:6", configuration.string)
            try await Program.system("ln").check("-s", "app/conf", "\(fixture.bundle)/rootfs/etc/link")
            let output = try await fixture.shell(
                "cat /etc/link; stat -c '%a %u %g' /etc/app/conf; echo new > /etc/app/conf && cat /etc/link",
                """
                .mounts += [{"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]
                | .root.readonly = true
                """)
            #expect(output.shown == ["kept", "640 0 6", "new"], "\(output)")
            let kept = try await Program.system("cat").check(configuration.string)
            #expect(kept.standardOutput == "kept\n", "the image's file is not written")
        }
    }
}
