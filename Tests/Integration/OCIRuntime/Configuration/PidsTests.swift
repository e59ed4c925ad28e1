internal import Testing

/// `linux.resources.pids`.
@Suite struct OCIPidsTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func processesAreCountedAndLimited(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "for i in 1 2 3 4 5 6 7 8; do sleep 100 & echo $i; done", ".linux.resources.pids = {\"limit\": 6}")
            #expect(output.code != 0)
            // Beside the shell there is room for five; the runtime's own helpers are gone, or take some of it.
            #expect(output.shown.count <= 6 && output.shown.count > 1, "\(output)")
            #expect(output.standardError.contains("fork"), "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func negativeLimitIsNone(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".linux.resources.pids = {\"limit\": -1}")
            #expect(try fixture.cgroup.read("pids", "pids.max") == "max")
        }
    }
}
