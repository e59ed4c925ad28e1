internal import Testing

/// `process.ioPriority`.
@Suite struct OCIIOPriorityTests {
    @Test(
        arguments: RuntimeUnderTest.knowing(.ioPriority),
        [
            (#"{"class": "IOPRIO_CLASS_BE", "priority": 6}"#, "best-effort: prio 6\n"),
            (#"{"class": "IOPRIO_CLASS_IDLE"}"#, "idle\n"),
        ])
    func classAndPriorityAreSet(_ kind: RuntimeUnderTest, _ priority: (json: String, shown: String)) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.output(of: ["/bin/ionice"], ".process.ioPriority = \(priority.json)")
            #expect(output.standardOutput == priority.shown, "\(output)")
        }
    }
}
