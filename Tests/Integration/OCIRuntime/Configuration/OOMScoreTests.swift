internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `process.oomScoreAdj`.
@Suite struct OCIOOMScoreTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func scoreIsSetOrTheCallers(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let show = ["/bin/cat", "/proc/self/oom_score_adj"]
            let set = try await fixture.output(of: show, ".process.oomScoreAdj = 500")
            #expect(set.standardOutput == "500\n", "\(set)")
            // "If it is not set, the runtime MUST NOT change the value."
            try await fixture.configure(show)
            let kept = try await Program.system("sh").check(
                "-c", "echo 321 > /proc/self/oom_score_adj; exec \(fixture.call) run --bundle \(fixture.bundle) c1")
            #expect(kept.standardOutput == "321\n", "\(kept)")
        }
    }
}
