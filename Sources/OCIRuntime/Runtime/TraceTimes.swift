internal import Glibc
internal import LaunchAPI

/// Where the time of a verb goes, part by part: what `--trace` shows.
public enum TraceTimes {
    /// Where each part is told, in words and nanoseconds; the command line sets it before anything runs. `nil`: nothing is
    /// measured.
    nonisolated(unsafe) public static var tell: (@Sendable (String, UInt64) -> Void)?

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    public static func part<Result>(_ words: String, _ body: () throws -> Result) rethrows -> Result {
        guard let tell else { return try body() }
        let begin = now()
        defer { tell(words, now() - begin) }
        return try body()
    }

    /// What the launcher measured of the plan's steps, and the time of `body` that is left: of its start, its messages and
    /// the exec.
    static func launch(
        _ plan: Berth_Launch_V1_Plan, _ body: (Berth_Launch_V1_Plan) throws -> LaunchedProcess
    ) rethrows -> LaunchedProcess {
        guard let tell else { return try body(plan) }
        var traced = plan
        traced.trace = true
        let begin = now()
        let process = try body(traced)
        let whole = now() - begin
        for time in process.stepTimes where (1...plan.steps.count).contains(Int(time.step)) {
            let step = plan.steps[Int(time.step) - 1]
            let place = step.place == .child ? "child" : "host"
            tell("step \(time.step) of \(plan.steps.count) (\(place)): \(step.words)", time.nanoseconds)
        }
        let measured = process.stepTimes.reduce(0) { $0 + $1.nanoseconds }
        tell("start berth-launch, pass the plan and exec", whole - min(whole, measured))
        return process
    }
}
