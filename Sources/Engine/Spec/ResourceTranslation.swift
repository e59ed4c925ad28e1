internal import OCISpec

/// CRI's limits in the words of the runtime specification; 0 or empty there means "not set".
enum ResourceTranslation {
    static func specification(_ limits: LinuxResources) -> RuntimeSpec.Linux.Resources {
        var result = RuntimeSpec.Linux.Resources()
        var cpu = RuntimeSpec.Linux.Resources.CPU()
        if limits.cpuShares > 0 { cpu.shares = UInt64(limits.cpuShares) }
        if limits.cpuQuota != 0 { cpu.quota = limits.cpuQuota }
        if limits.cpuPeriod > 0 { cpu.period = UInt64(limits.cpuPeriod) }
        if !limits.cpusetCPUs.isEmpty { cpu.cpus = limits.cpusetCPUs }
        if !limits.cpusetMemories.isEmpty { cpu.mems = limits.cpusetMemories }
        if cpu != .init() { result.cpu = cpu }
        var memory = RuntimeSpec.Linux.Resources.Memory()
        if limits.memoryLimit != 0 { memory.limit = limits.memoryLimit }
        if limits.memorySwapLimit != 0 { memory.swap = limits.memorySwapLimit }
        if memory != .init() { result.memory = memory }
        if !limits.hugepageLimits.isEmpty {
            result.hugepageLimits = limits.hugepageLimits.map { .init(pageSize: $0.pageSize, limit: $0.limit) }
        }
        if !limits.unified.isEmpty { result.unified = limits.unified }
        return result
    }
}
