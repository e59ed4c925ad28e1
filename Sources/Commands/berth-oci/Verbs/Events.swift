internal import ArgumentParser
internal import Core
internal import Glibc
internal import LinuxKernel
internal import OCIRuntime

struct Events: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Prints statistics of a container: CPU, memory, processes, I/O.")

    @Flag(help: "Once, and not again and again.")
    var stats = false

    @Option(help: "Seconds between two prints.")
    var interval = "5s"

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        let container = try globals.runtime.container(id)
        guard container.status() != .stopped else {
            throw BerthError(.failedPrecondition, "container with id \(id) is not running")
        }
        guard let pause = Self.milliseconds(interval), pause > 0 else {
            throw BerthError.invalid(
                field: "--interval", value: interval, rule: "must be a duration such as 5s, 100ms or 1m30s")
        }
        try print(container)
        if stats { return }
        let cgroup = container.cgroup.cgroup
        var kills = cgroup.oomKills()
        var left = pause
        while container.status() != .stopped {
            let slice = min(left, Self.glance)
            usleep(UInt32(slice) * 1000)
            left -= slice
            let now = cgroup.oomKills()
            if now > kills { try Output.json(OOMEvent(id: id), pretty: false) }
            kills = max(now, kills)
            if left > 0 { continue }
            left = pause
            // The container may end at any moment.
            do { try print(container) } catch { if container.status() != .stopped { throw error } }
        }
    }

    /// Milliseconds between two looks at the kernel's count of OOM kills.
    private static let glance = 100

    private func print(_ container: KnownContainer) throws {
        try Output.json(StatisticsEvent(container), pretty: false)
    }

    /// Durations as Go writes them: numbers with units, added up; a bare number is of seconds.
    static func milliseconds(_ text: String) -> Int? {
        let units: [(String, Double)] = [("ms", 1), ("us", 0.001), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        if let seconds = Int(text), (0...1_000_000).contains(seconds) { return seconds * 1000 }
        var rest = text[...]
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            guard let number = Double(digits), let unit = units.first(where: { rest.hasPrefix($0.0) }) else {
                return nil
            }
            rest = rest.dropFirst(unit.0.count)
            total += number * unit.1
        }
        guard total < 1e9 else { return nil }
        return text.isEmpty ? nil : max(1, Int(total))
    }
}

/// What `events` prints when the kernel has killed a process of the container for its memory limit.
private struct OOMEvent: Encodable {
    let type = "oom"
    let id: String

    enum CodingKeys: String, CodingKey { case type, id }
}
