internal import ArgumentParser
internal import CRIAPI
internal import Foundation
internal import Streaming
internal import Synchronization

/// Thousands of pods and sessions, so many at a time, and then nothing that was not there before.
struct Soak: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run many pods and sessions, and fail where anything of the daemon or its host has grown.")

    @OptionGroup var target: Target
    @Option(help: "Pods from RunPodSandbox to RemovePodSandbox.") var pods = 2000
    @Option(help: "Sessions of ExecSync and of streaming Exec (SPDY and WebSocket in turns), in all.") var execs = 10_000
    @Option(help: "Calls at a time.") var workers = 16
    @Option(help: "Pods that run at once at last; 0 for none.") var atOnce = 0
    @Option(help: "Folders whose files are counted.") var folder: [String] = []
    @Option(help: "Count the links of this bridge alone, where the host has others that come and go.") var ownLinks: String?
    @Option(help: "KiB that the daemon's memory may grow by between half time and end.") var memory = 4096
    @Flag(help: "Wait at the end with all pods of --at-once for a line on standard input.") var hold = false

    func run() async throws {
        let problems = try await target.withRuntime { pods in try await soak(pods) }
        guard problems.isEmpty else {
            FileHandle.standardError.write(Data((problems.joined(separator: "\n") + "\n").utf8))
            throw ExitCode(1)
        }
    }

    private func soak(_ runtime: Pods) async throws -> [String] {
        // What the first calls make for all later ones is no growth.
        try await round(runtime, "warm", pods: min(workers * 2, pods), execs: min(workers * 4, execs))
        let before = try await settledCounts()
        say("before", before)
        try await round(runtime, "first", pods: pods / 2, execs: execs / 2)
        let middle = try await settledCounts()
        say("middle", middle)
        try await round(runtime, "second", pods: pods - pods / 2, execs: execs - execs / 2)
        var after = try await settledCounts()
        say("after", after)
        var problems = growth(from: before, middle, to: after)
        guard atOnce > 0 else { return problems }
        let held = try await run(atOnce, at: runtime)
        say("with \(atOnce) pods", await counts())
        if hold {
            print("holding")
            fflush(nil)
            await waitForLine()
        }
        try await inParallel(held.count, workers: workers) { try await runtime.remove(held[$0]) }
        after = try await settledCounts()
        say("after \(atOnce) pods", after)
        if !hold { problems += growth(from: before, middle, to: after, memory: false) }
        return problems
    }

    private func run(_ count: Int, at runtime: Pods) async throws -> [Pods.Pod] {
        let held = Mutex<[Pods.Pod]>([])
        let start = ContinuousClock.now
        try await inParallel(count, workers: workers) { number in
            let pod = try await runtime.start("once-\(number)")
            held.withLock { $0.append(pod) }
        }
        print("\(count) pods at once: started in \((ContinuousClock.now - start).milliseconds / 1e3) s")
        return held.withLock { $0 }
    }

    /// Pods come and go beside commands in pods that stay.
    private func round(_ runtime: Pods, _ name: String, pods: Int, execs: Int) async throws {
        let start = ContinuousClock.now
        let half = max(1, workers / 2)
        var staying: [Pods.Pod] = []
        for number in 0..<4 { staying.append(try await runtime.start("\(name)-stays-\(number)")) }
        let homes = staying
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await inParallel(pods, workers: half) { number in
                    let pod = try await runtime.start("\(name)-\(number)")
                    try await runtime.remove(pod)
                }
            }
            group.addTask {
                try await inParallel(execs, workers: max(1, workers - half)) { number in
                    let home = homes[number % homes.count]
                    if number % 2 == 0 {
                        try await runtime.exec(home)
                    } else {
                        try await runtime.stream(home, transport: number % 4 == 1 ? .spdy : .websocket)
                    }
                }
            }
            try await group.waitForAll()
        }
        for pod in homes { try await runtime.remove(pod) }
        print("\(name): \(pods) pods and \(execs) sessions in \((ContinuousClock.now - start).milliseconds / 1e3) s")
    }

    /// Counts once they no longer fall: monitors, exited streams and collections end a moment after their calls.
    private func settledCounts() async throws -> [String: Int] {
        var last = await counts()
        for _ in 0..<20 {
            try await Task.sleep(for: .milliseconds(500))
            let now = await counts()
            let isSettled = now.allSatisfy { name, value in name.hasSuffix("KiB") || value == last[name] }
            last = now
            if isSettled { break }
        }
        return last
    }

    private func counts() async -> [String: Int] {
        ProcessFacts.counts(daemon: target.daemon, folders: folder, cgroup: target.cgroupParent, bridge: ownLinks)
    }

    private func say(_ when: String, _ counts: [String: Int]) {
        print("\(when): " + counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    }

    private func growth(
        from before: [String: Int], _ middle: [String: Int], to after: [String: Int], memory checksMemory: Bool = true
    ) -> [String] {
        after.sorted { $0.key < $1.key }.compactMap { name, value in
            if name.hasSuffix("KiB") {
                // Buffers and caches fill in the first half; what leaks, leaks in the second one, too.
                let grown = value - (middle[name] ?? 0)
                return checksMemory && grown > memory ? "\(name) grew by \(grown) in the second half" : nil
            }
            // Threads come and go with load, and the database opens up to four connections as reads meet: fewer than a
            // pool's size are no leak.
            let room = ["threads", "descriptors"].contains(name) ? 8 : 0
            let grown = value - (before[name] ?? 0)
            return grown > room ? "\(name) grew by \(grown)" : nil
        }
    }
}

extension Pods {
    /// A streaming exec whose output and exit code are looked at.
    func stream(_ pod: Pod, transport: StreamTransport) async throws {
        let url = try await runtime.exec(
            .with {
                $0.containerID = pod.container
                $0.cmd = ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]
                $0.stdout = true
                $0.stderr = true
            }
        ).url
        let output = Mutex<[UInt8]>([])
        let code = try await StreamingClient.run(
            url: url, transport: transport, tty: false,
            streams: CommandStreams(
                stdout: { bytes in output.withLock { $0 += bytes } }, stderr: { _ in }))
        guard code == 7, output.withLock({ $0 }) == Array("out\n".utf8) else {
            throw Failure("a streaming exec over \(transport.rawValue) answered \(code) and \(output.withLock { $0.count }) bytes")
        }
    }
}
