internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `linux.memoryPolicy`.
@Suite(.enabled(if: Files.exists("/proc/self/numa_maps"))) struct OCIMemoryPolicyTests {
    @Test(arguments: RuntimeUnderTest.knowing(.memoryPolicy))
    func policyAndNodesAreThoseOfEachProcess(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "cut -d ' ' -f 2 /proc/self/numa_maps | sort -u",
                ".linux.memoryPolicy = {\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_STATIC_NODES\"]}"
            )
            #expect(output.shown == ["bind=static:0"], "\(output)")
        }
    }
}
