internal import ArgumentParser
internal import CRIAPI
internal import Foundation

/// Latencies at several numbers of pods, rates, and the daemon's processor time under probes; one JSON object.
struct Measure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measure latencies and rates; prints JSON.")

    @OptionGroup var target: Target
    @Option(help: "Numbers of pods at which calls are measured, growing.") var levels = "1,100,300"
    @Option(help: "Samples of each call at each level.") var samples = 50
    @Option(help: "Pods of each rate, at 1 and at 8 workers.") var ratePods = 40
    @Option(help: "Seconds of 100 exec probes each.") var probeSeconds = 10

    func run() async throws {
        let numbers = levels.split(separator: ",").compactMap { Int($0) }
        guard !numbers.isEmpty, numbers == numbers.sorted(), numbers[0] > 0 else {
            throw ValidationError("--levels \(levels): must be growing numbers above 0")
        }
        let result = try await target.withRuntime { pods in try await measure(pods, numbers) }
        let json = try JSONSerialization.data(withJSONObject: result, options: [.sortedKeys, .prettyPrinted])
        print(String(decoding: json, as: UTF8.self))
    }

    private func measure(_ pods: Pods, _ numbers: [Int]) async throws -> [String: any Sendable] {
        // The first pod makes what all share.
        try await pods.remove(pods.start("warm"))
        var result: [String: any Sendable] = [:]
        for workers in [1, 8] {
            let start = ContinuousClock.now
            try await inParallel(ratePods, workers: workers) { number in
                try await pods.remove(pods.start("rate-\(workers)-\(number)"))
            }
            result["rate \(workers)"] = Double(ratePods) / (ContinuousClock.now - start).milliseconds * 1e3
        }
        var held: [Pods.Pod] = []
        for level in numbers {
            // The sample is the last pod of the level.
            while held.count < level - 1 { held.append(try await pods.start("held-\(held.count)")) }
            result["at \(level)"] = try await latencies(pods, level).summary
        }
        if held.isEmpty { held.append(try await pods.start("held")) }
        result["pods"] = held.count
        result["probes"] = try await probe(pods, held)
        // hack/bench weighs the processes while the pods run: it writes a line when it is done.
        print("holding")
        fflush(nil)
        await waitForLine()
        let doomed = held
        try await inParallel(doomed.count, workers: 8) { try await pods.remove(doomed[$0]) }
        return result
    }

    private func latencies(_ pods: Pods, _ level: Int) async throws -> Latencies {
        let times = Latencies()
        for number in 0..<samples {
            let start = ContinuousClock.now
            let pod = try await pods.start("sample-\(level)-\(number)", times)
            times.add("start", ContinuousClock.now - start)
            try await pods.exec(pod, times)
            _ = try await pods.timed("ListContainers", times) { try await pods.runtime.listContainers(.init()) }
            _ = try await pods.timed("ListPodSandbox", times) { try await pods.runtime.listPodSandbox(.init()) }
            try await pods.remove(pod, times)
        }
        return times
    }

    /// The daemon's processor time, in hundredths of a core, under 100 exec probes a second.
    private func probe(_ pods: Pods, _ held: [Pods.Pod]) async throws -> [String: Double] {
        let times = Latencies()
        let before = try ProcessFacts.processorTime(target.daemon)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<(probeSeconds * 100) {
                try await Task.sleep(until: start + .milliseconds(10 * number))
                group.addTask { try await pods.exec(held[number % held.count], times) }
            }
            try await group.waitForAll()
        }
        let took = (ContinuousClock.now - start).milliseconds / 1e3
        let used = try ProcessFacts.processorTime(target.daemon) - before
        return ["daemon": used / took * 100, "perSecond": Double(probeSeconds * 100) / took].merging(
            times.summary["ExecSync"] ?? [:]) { $1 }
    }
}
