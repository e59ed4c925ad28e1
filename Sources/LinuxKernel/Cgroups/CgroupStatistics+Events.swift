internal import SystemPackage

// What `events` tells beyond the statistics that are read again and again.

extension CgroupStatistics {
    /// The CPUs and memory nodes that the processes may use.
    public struct CPUSet: Sendable, Equatable {
        public var cpus: [Int]
        public var memoryNodes: [Int]

        public init(cpus: [Int], memoryNodes: [Int]) {
            self.cpus = cpus
            self.memoryNodes = memoryNodes
        }
    }

    /// Bytes in huge pages of one size.
    public struct HugePages: Sendable, Equatable {
        public var usage: UInt64
        /// v1 alone keeps it.
        public var maxUsage: UInt64?
        /// Times that the limit was met.
        public var failures: UInt64

        public init(usage: UInt64, maxUsage: UInt64?, failures: UInt64) {
            self.usage = usage
            self.maxUsage = maxUsage
            self.failures = failures
        }
    }
}

extension Cgroup {
    /// - Returns: `nil` where the cgroup has no cpuset controller.
    public func cpuset() -> CgroupStatistics.CPUSet? {
        let allowed = isUnified("cpuset") ? "cpuset.cpus.effective" : "cpuset.effective_cpus"
        let nodes = isUnified("cpuset") ? "cpuset.mems.effective" : "cpuset.effective_mems"
        guard let cpus = try? read("cpuset", allowed), let mems = try? read("cpuset", nodes) else { return nil }
        return .init(cpus: Self.numbers(cpus), memoryNodes: Self.numbers(mems))
    }

    /// memory.stat as it stands.
    public func memoryTable() -> [String: UInt64] {
        var values: [String: UInt64] = [:]
        for line in ((try? read("memory", "memory.stat")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count == 2 { values[String(fields[0])] = UInt64(fields[1]) }
        }
        return values
    }

    /// By the size as the kernel writes it: "2MB", "1GB".
    public func hugePages() -> [String: CgroupStatistics.HugePages] {
        guard let directory = directory(of: "hugetlb") else { return [:] }
        let isUnified = directory.hierarchy.isUnified
        let suffix = isUnified ? ".current" : ".usage_in_bytes"
        var found: [String: CgroupStatistics.HugePages] = [:]
        for file in (try? Files.list(directory.path)) ?? [] where file.hasPrefix("hugetlb.") && file.hasSuffix(suffix) {
            let size = String(file.dropFirst("hugetlb.".count).dropLast(suffix.count))
            // Reservations ("2MB.rsvd") are counted apart.
            if size.contains(".") { continue }
            func number(_ name: String) -> UInt64? {
                (try? read("hugetlb", "hugetlb.\(size).\(name)")).flatMap { UInt64($0) }
            }
            let events = isUnified ? (try? read("hugetlb", "hugetlb.\(size).events")) ?? "" : ""
            found[size] = .init(
                usage: number(isUnified ? "current" : "usage_in_bytes") ?? 0, maxUsage: number("max_usage_in_bytes"),
                failures: (isUnified ? UInt64(events.split(separator: " ").last ?? "") : number("failcnt")) ?? 0)
        }
        return found
    }

    /// "0-2,5" is 0, 1, 2, 5.
    private static func numbers(_ list: String) -> [Int] {
        list.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { return [] }
            return Array(first...last)
        }
    }
}
