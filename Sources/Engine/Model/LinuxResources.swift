/// Limits of a container or pod (CRI `LinuxContainerResources`): 0 or empty means "not set".
public struct LinuxResources: Codable, Sendable, Equatable {
    /// Microseconds.
    public var cpuPeriod: Int64 = 0
    /// Microseconds in each period; negative for no limit.
    public var cpuQuota: Int64 = 0
    public var cpuShares: Int64 = 0
    /// Bytes.
    public var memoryLimit: Int64 = 0
    /// Memory and swap together, in bytes; -1 for no limit.
    public var memorySwapLimit: Int64 = 0
    public var oomScoreAdjustment: Int64 = 0
    public var cpusetCPUs = ""
    public var cpusetMemories = ""
    public var hugepageLimits: [HugepageLimit] = []
    /// cgroup v2 files by name.
    public var unified: [String: String] = [:]

    public init() {}

    public struct HugepageLimit: Codable, Sendable, Equatable {
        /// `2MB`, `1GB` and so on.
        public var pageSize: String
        public var limit: UInt64

        public init(pageSize: String, limit: UInt64) {
            self.pageSize = pageSize
            self.limit = limit
        }
    }

    /// These limits with the fields that `update` sets replaced.
    public func updated(by update: LinuxResources) -> LinuxResources {
        var result = self
        if update.cpuPeriod != 0 { result.cpuPeriod = update.cpuPeriod }
        if update.cpuQuota != 0 { result.cpuQuota = update.cpuQuota }
        if update.cpuShares != 0 { result.cpuShares = update.cpuShares }
        if update.memoryLimit != 0 { result.memoryLimit = update.memoryLimit }
        if update.memorySwapLimit != 0 { result.memorySwapLimit = update.memorySwapLimit }
        if update.oomScoreAdjustment != 0 { result.oomScoreAdjustment = update.oomScoreAdjustment }
        if !update.cpusetCPUs.isEmpty { result.cpusetCPUs = update.cpusetCPUs }
        if !update.cpusetMemories.isEmpty { result.cpusetMemories = update.cpusetMemories }
        if !update.hugepageLimits.isEmpty { result.hugepageLimits = update.hugepageLimits }
        result.unified.merge(update.unified) { $1 }
        return result
    }
}
