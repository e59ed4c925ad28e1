internal import Testing

/// `process.scheduler`. Without the policies of real time: a cgroup v1 gives them no time by itself.
@Suite struct OCISchedulerTests {
    /// Niceness, priority and policy (proc_pid_stat(5)) of the first process and of one that it starts.
    private static let show = "for p in 1 self; do cut -d ' ' -f 19,40,41 /proc/$p/stat; done; true"

    @Test(
        arguments: RuntimeUnderTest.knowing(.scheduler),
        [
            (#"{"policy": "SCHED_BATCH", "nice": 5}"#, ["5 0 3", "5 0 3"]),
            (#"{"policy": "SCHED_IDLE"}"#, ["0 0 5", "0 0 5"]),
            (
                #"{"policy": "SCHED_OTHER", "nice": -5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}"#,
                ["-5 0 0", "0 0 0"]
            ),
        ])
    func policyNicenessAndFlagsAreSet(
        _ kind: RuntimeUnderTest, _ scheduler: (json: String, shown: [String])
    ) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(Self.show, ".process.scheduler = \(scheduler.json)")
            #expect(output.shown == scheduler.shown, "\(output)")
        }
    }
}
