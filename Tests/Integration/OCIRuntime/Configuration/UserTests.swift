internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `process.user`.
@Suite struct OCIUserTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func userGroupsUmaskAndHomeAreThoseOfTheConfiguration(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file(
                "bundle/rootfs/etc/passwd", "root:x:0:0::/root:/bin/sh\nbox:x:1000:9::/home/box:/bin/sh\n")
            let output = try await fixture.shell(
                "id -u; id -g; id -G; umask; touch /made/f; stat -c '%u %g %a' /made/f; echo $HOME",
                """
                .process.user = {"uid": 1000, "gid": 1001, "umask": 63, "additionalGids": [5, 2000]}
                | .mounts += [{"destination": "/made", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}]
                """)
            #expect(
                output.shown == ["1000", "1001", "1001 5 2000", "0077", "1000 1001 600", "/home/box"], "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func groupsAndUmaskOfTheCallerStayOutside(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sh", "-c", "id -G; umask"])
            let output = try await Program.system("sh").check(
                "-c", "umask 077; exec setpriv --groups 4242 \(fixture.call) run --bundle \(fixture.bundle) c1")
            #expect(output.shown == ["0", "0022"], "\(output)")
        }
    }
}
