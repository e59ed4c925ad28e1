internal import LinuxKernel
internal import TestSupport
internal import Testing

/// A user namespace with `linux.uidMappings` and `linux.gidMappings`.
@Suite struct OCIUserNamespaceTests {
    private static let mapped = """
        .linux.namespaces += [{"type": "user"}] | .linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 2000}]
        | .linux.gidMappings = [{"containerID": 0, "hostID": 200000, "size": 3000}]
        | .mounts += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}]
        """

    @Test(arguments: RuntimeUnderTest.allCases)
    func idsAreThoseOfTheMappings(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let own = try Syscall.readlinkat("/proc/self/ns/user")
            try await fixture.start(
                ["/bin/sleep", "1000"], change: "\(Self.mapped) | .process.user = {\"uid\": 5, \"gid\": 6}")
            let output = try await fixture.runtime.run(
                "exec", "--user", "0:0", "c1", "/bin/sh", "-c",
                """
                tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map; cat /proc/self/setgroups
                id -u; stat -c '%u %g' /bin/busybox /proc/1; touch /tmp/f; stat -c '%u %g' /tmp/f; readlink /proc/self/ns/user
                """)
            #expect(
                output.shown.dropLast() == [
                    " 0 100000 2000", " 0 200000 3000", "allow", "0", "65534 65534", "5 6", "0 0",
                ], "\(output)")
            #expect(output.shown.last != own)
            let pid = try #require(try await fixture.state()["pid"])
            let outside = try await Program.system("stat").check("-c", "%u %g", "/proc/\(pid)")
            #expect(outside.standardOutput == "100005 200006\n", "\(outside)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func itsUserOpensStdioByName(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "echo out > /dev/stdout; echo err > /dev/stderr",
                "\(Self.mapped) | .process.user = {\"uid\": 5, \"gid\": 6}")
            #expect(output.standardOutput == "out\n", "\(output)")
            #expect(output.standardError == "err\n", "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func rootHasNoRightsOutside(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("bundle/rootfs/secret", "", mode: 0o600)
            let output = try await fixture.shell(
                "cat /secret || echo refused; echo > /dev/null && echo written; hostname new && hostname",
                """
                \(Self.mapped) | ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"] as $more
                | .process.capabilities |= map_values(. + $more)
                """)
            #expect(output.shown == ["refused", "written", "new"], "\(output)")
        }
    }
}
