internal import Testing

/// `linux.resources.memory`.
@Suite struct OCIMemoryTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func limitsReachTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change:
                    ".linux.resources.memory = {\"limit\": 67108864, \"reservation\": 33554432, \"swap\": 100663296}")
            #expect(try fixture.limit("memory", v1: "memory.limit_in_bytes", v2: "memory.max") == "67108864")
            #expect(try fixture.limit("memory", v1: "memory.soft_limit_in_bytes", v2: "memory.low") == "33554432")
            // Memory and swap together on v1, swap alone on v2.
            let swap = try? fixture.limit("memory", v1: "memory.memsw.limit_in_bytes", v2: "memory.swap.max")
            let isUnified = try fixture.cgroup.isUnified("memory")
            #expect([isUnified ? "33554432" : "100663296", nil].contains(swap), "where the kernel counts swap")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func whoNeedsMoreIsKilled(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "x=12345678; while :; do x=$x$x; done",
                ".linux.resources.memory = {\"limit\": 16777216, \"swap\": 16777216}")
            #expect(output.code == 137, "\(output)")
        }
    }
}
