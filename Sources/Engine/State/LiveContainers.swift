internal import OCIRuntime
internal import OCISpec
internal import Synchronization

/// What is known of a container only while this daemon lives: nothing here is stored, all of it can be found again.
final class LiveContainer: Sendable {
    let monitor: MonitorClient
    /// Opens when the exit is in the registry.
    let exited = Latch()
    private let cached = Mutex<RuntimeSpec?>(nil)
    let cpuSamples = CPUSamples()
    private let layer = Mutex<FilesystemUsage?>(nil)
    /// A measurement walks the whole tree, so one serves for a while.
    private static let layerUsageAge: Int64 = 10_000_000_000

    init(monitor: MonitorClient, spec: RuntimeSpec? = nil) {
        self.monitor = monitor
        cached.withLock { $0 = spec }
    }

    /// The configuration that it was made with, read once.
    func spec(_ read: () throws -> RuntimeSpec) rethrows -> RuntimeSpec {
        if let spec = cached.withLock({ $0 }) { return spec }
        let spec = try read()
        cached.withLock { $0 = spec }
        return spec
    }

    /// The size of the writable layer as last measured; `measure` runs where that was long ago.
    func layerUsage(_ measure: () async -> FilesystemUsage?) async -> FilesystemUsage? {
        if let usage = layer.withLock({ $0 }), WallClock.now() - usage.timestamp < Self.layerUsageAge { return usage }
        let usage = await measure()
        layer.withLock { $0 = usage }
        return usage
    }
}

/// The last measurement of a cgroup's CPU time, for its rate.
final class CPUSamples: Sendable {
    private let last = Mutex<(at: Int64, used: UInt64, rate: UInt64?)?>(nil)
    /// Rates over less than this say little.
    private static let shortest: Int64 = 100_000_000

    /// - Returns: billionths of a core; `nil` for the first measurement.
    func rate(at time: Int64, used: UInt64) -> UInt64? {
        last.withLock { last in
            guard let before = last else {
                last = (time, used, nil)
                return nil
            }
            let elapsed = time - before.at
            guard elapsed >= Self.shortest else { return before.rate }
            let rate = UInt64(Double(used &- min(used, before.used)) / Double(elapsed) * 1_000_000_000)
            last = (time, used, rate)
            return rate
        }
    }
}

final class LiveContainers: Sendable {
    private let table = Mutex<[String: LiveContainer]>([:])

    subscript(id: String) -> LiveContainer? {
        get { table.withLock { $0[id] } }
        set { table.withLock { $0[id] = newValue } }
    }
}
