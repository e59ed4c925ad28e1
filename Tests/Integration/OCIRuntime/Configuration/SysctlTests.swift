internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `linux.sysctl`.
@Suite struct OCISysctlTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func parametersOfTheNamespacesAreSet(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let own = try Files.readText("/proc/sys/kernel/shm_rmid_forced")
            let output = try await fixture.shell(
                "cd /proc/sys; cat net/ipv4/ip_forward net/ipv4/ip_default_ttl kernel/shm_rmid_forced fs/mqueue/msg_max",
                """
                .linux.sysctl = {"net.ipv4.ip_forward": "1", "net/ipv4/ip_default_ttl": "77", "kernel.shm_rmid_forced": "1",
                    "fs.mqueue.msg_max": "11"}
                """)
            #expect(output.shown == ["1", "77", "1", "11"], "\(output)")
            #expect(try Files.readText("/proc/sys/kernel/shm_rmid_forced") == own)
        }
    }

    @Test(
        arguments: RuntimeUnderTest.allCases,
        [
            ("kernel.panic", "."), ("net.ipv4.ip_forward", "del(.linux.namespaces[] | select(.type == \"network\"))"),
            ("kernel.shm_rmid_forced", "del(.linux.namespaces[] | select(.type == \"ipc\"))"),
        ])
    func parametersOfTheHostAreRefused(
        _ kind: RuntimeUnderTest, _ parameter: (name: String, change: String)
    ) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "echo ran", "\(parameter.change) | .linux.sysctl = {\"\(parameter.name)\": \"1\"}")
            #expect(output.code == 1)
            #expect(output.standardOutput == "")
            #expect(output.standardError.contains(parameter.name), "\(output)")
        }
    }
}
