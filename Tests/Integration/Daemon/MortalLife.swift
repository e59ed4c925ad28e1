internal import CRIAPI
internal import Core
internal import GRPCCore
internal import LinuxKernel
internal import Synchronization
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Calls to a daemon that dies at each of a set of steps, one death after the other, and is started again.
final class MortalLife: Sendable {
    struct Death: Error {}

    private let daemon: Daemon
    private let all: Set<String>
    private let before: Set<String>
    private let deaths = Mutex<Set<String>>([])

    /// Failpoints at which the daemon has died.
    var tried: Set<String> { deaths.withLock { $0 } }
    /// What the daemon looks at when it reaches one.
    private var file: FilePath { daemon.scratch.appending("failpoints") }

    /// What the first pod makes for all later ones (bridge, directories) is there from now on.
    init(_ daemon: Daemon, pod first: Runtime_V1_PodSandboxConfig? = nil) async throws {
        self.daemon = daemon
        all = try await Failpoints.named([
            "pod", "container", "exec", "network", "snapshot", "cni", "checkpoint", "restore", "nri", "handler",
        ])
        let config = first ?? daemon.podConfiguration("first")
        let id = try await daemon.runPod(config)
        _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = id }) }
        try await daemon.kill()
        try await daemon.start(failpoints: daemon.scratch.appending("failpoints"))
        before = try Self.things(of: daemon)
    }

    /// Makes the call until it succeeds; the daemon dies at each failpoint that begins with one of `areas`.
    func call<Result: Sendable>(
        _ areas: [String], _ what: String, afterEach check: (String) async throws -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        var armed = names(areas)
        try arm(armed)
        while true {
            do {
                let result = try await orDeath(body)
                try arm([])
                return result
            } catch is Death {
                let point = try await note(&armed)
                try await restart(&armed)
                try await check("\(what), killed at \(point)")
            }
        }
    }

    /// `call` for what makes something: after a death there is either nothing of it, or all.
    func making(
        _ areas: [String], _ what: String, _ body: @escaping @Sendable () async throws -> String
    ) async throws -> String {
        let start = try things()
        let known = try await ids()
        return try await call(
            areas, what,
            afterEach: { [self] what in
                guard try await ids() == known else { return }
                let left = try things().subtracting(start).sorted()
                #expect(left == [], "\(what)")
            }, body)
    }

    /// For what takes something away: a new one for each failpoint that begins with one of `areas`, and a death there; after
    /// the retry nothing bears its ID.
    func each(
        _ areas: [String], _ what: String, _ make: () async throws -> String,
        _ body: @escaping @Sendable (String) async throws -> Void
    ) async throws {
        for point in names(areas) {
            let id = try await make()
            try await call([point], what) { try await body(id) }
            let left = try things().filter { $0.contains(id) }.sorted()
            #expect(left == [], "\(what), killed at \(point)")
        }
    }

    /// Dies at `point` while `body` runs.
    func die<Result: Sendable>(at point: String, _ body: @escaping @Sendable () async throws -> Result) async throws {
        var armed = [point]
        try arm(armed)
        await #expect(throws: Death.self) { _ = try await orDeath(body) }
        #expect(try await note(&armed) == point)
    }

    /// Starts the daemon again until it has passed all failpoints that begin with one of `areas`.
    func startUntilItServes(_ areas: [String]) async throws {
        var armed = names(areas)
        let wanted = armed.count
        try await restart(&armed)
        #expect(armed.count < wanted, "none of \(areas) was reached")
        try arm([])
    }

    private func names(_ areas: [String]) -> [String] {
        all.filter { name in areas.contains { name.hasPrefix($0) } }.sorted()
    }

    private func arm(_ points: [String]) throws {
        try Files.writeAtomically(file, Array(points.map { "\($0)\n" }.joined().utf8))
    }

    private func restart(_ armed: inout [String]) async throws {
        try arm(armed)
        try await daemon.start(failpoints: file)
        while await !daemon.isAlive {
            _ = try await note(&armed)
            try arm(armed)
            try await daemon.start(failpoints: file)
        }
    }

    private func note(_ armed: inout [String]) async throws -> String {
        let point = try await daemon.died()
        armed.removeAll { $0 == point }
        _ = deaths.withLock { $0.insert(point) }
        return point
    }

    /// - Throws: `Death` where the daemon dies before it answers; else what `body` throws.
    private func orDeath<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result
    {
        let daemon = daemon
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                do { return try await body() } catch {
                    // The connection ends a moment before the process does.
                    for _ in 0..<50 where await daemon.isAlive { try await Task.sleep(for: .milliseconds(10)) }
                    if await daemon.isAlive { throw error }
                    throw Death()
                }
            }
            group.addTask {
                while await daemon.isAlive { try await Task.sleep(for: .milliseconds(5)) }
                throw Death()
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() ?? nil else { throw Death() }
            return result
        }
    }

    private func ids() async throws -> [String] {
        let pods = try await daemon.runtime { try await $0.listPodSandbox(.init()).items.map(\.id) }
        let containers = try await daemon.runtime { try await $0.listContainers(.init()).containers.map(\.id) }
        return pods.sorted() + containers.sorted()
    }

    /// Everything of the daemon's on this host, but itself.
    func things() throws -> Set<String> { try Self.things(of: daemon) }

    private static func things(of daemon: Daemon) throws -> Set<String> {
        let scratch = daemon.scratch
        var things = try HostSnapshot(of: scratch.appending("state"), mark: daemon.mark).things.filter {
            !$0.hasPrefix("link ") && !$0.contains(" berthd --config ") && !$0.hasSuffix("/last")
                // A plugin of the daemon, which ends with it.
                && !$0.contains("/nri/")
        }
        // By their directories: the thousands of files in them would take seconds to look at, each time.
        for name in try Files.list(scratch.appending("root").appending("snapshots")) {
            things.insert("snapshot \(name)")
        }
        for port in (try? Files.list(FilePath("/sys/class/net/\(daemon.mark)/brif"))) ?? [] {
            things.insert("port \(port)")
        }
        return things
    }

    /// Everything is as before the first call, on the host and in the lists.
    ///
    /// - Parameter cgroupParent: whether the pods' parent, which a kubelet makes and removes, may be there still.
    func expectNothing(_ what: String, cgroupParent: Bool = false) async throws {
        #expect(try await ids() == [], "\(what)")
        func left() throws -> [String] {
            try things().subtracting(before).filter {
                !(cgroupParent && $0.hasPrefix("cgroup ") && $0.hasSuffix(daemon.cgroupParent))
            }.sorted()
        }
        // A collection runs beside the calls.
        try? await eventually("the leftovers to go", within: .seconds(2)) { try left().isEmpty }
        let leftovers = try left()
        #expect(leftovers == [], "\(what)")
        let rules = try await Program.system("nft", "list", "ruleset").run().standardOutput
        let own = rules.split(separator: "\n").filter { $0.contains(daemon.mark) && $0.contains("31234") }
        #expect(own == [], "\(what): a port mapping")
    }
}
