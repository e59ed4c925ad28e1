internal import OCISpec

/// CRI's limits in the words of the runtime specification; 0 or empty there means "not set".
enum ResourceTranslation {
    /// - Parameter host: a kubelet limits every size of huge pages to 0 where a pod asks for none; a host that cannot limit
    ///   them runs such a pod all the same.
    static func specification(_ limits: LinuxResources, on host: SpecHost) -> RuntimeSpec.Linux.Resources {
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
        let hugepages = limits.hugepageLimits.filter { host.limitsHugepages || $0.limit > 0 }
        if !hugepages.isEmpty {
            result.hugepageLimits = hugepages.map { .init(pageSize: $0.pageSize, limit: $0.limit) }
        }
        if !limits.unified.isEmpty { result.unified = limits.unified }
        return result
    }

    /// Those of a container: one with a limit of memory does not swap, unless it says how much it may, as the field has it.
    static func ofContainer(_ limits: LinuxResources, on host: SpecHost) -> RuntimeSpec.Linux.Resources {
        var result = specification(limits, on: host)
        if host.accountsSwap, limits.memoryLimit > 0, limits.memorySwapLimit == 0,
            limits.unified["memory.swap.max"] == nil
        {
            result.memory?.swap = limits.memoryLimit
        }
        return result
    }

    /// What a container was made with, with the limits that it has by now.
    static func current(
        _ made: RuntimeSpec.Linux.Resources?, _ limits: LinuxResources, on host: SpecHost
    ) -> RuntimeSpec.Linux.Resources {
        var result = made ?? .init()
        let now = specification(limits, on: host)
        if let cpu = now.cpu {
            var all = result.cpu ?? .init()
            all.shares = cpu.shares ?? all.shares
            all.quota = cpu.quota ?? all.quota
            all.period = cpu.period ?? all.period
            all.cpus = cpu.cpus ?? all.cpus
            all.mems = cpu.mems ?? all.mems
            result.cpu = all
        }
        if let memory = now.memory {
            var all = result.memory ?? .init()
            all.limit = memory.limit ?? all.limit
            all.swap = memory.swap ?? all.swap
            result.memory = all
        }
        result.hugepageLimits = now.hugepageLimits ?? result.hugepageLimits
        result.unified = now.unified ?? result.unified
        return result
    }

    /// What of them CRI can say.
    static func limits(_ specification: RuntimeSpec.Linux.Resources) -> LinuxResources {
        var result = LinuxResources()
        result.cpuShares = Int64(clamping: specification.cpu?.shares ?? 0)
        result.cpuQuota = specification.cpu?.quota ?? 0
        result.cpuPeriod = Int64(clamping: specification.cpu?.period ?? 0)
        result.cpusetCPUs = specification.cpu?.cpus ?? ""
        result.cpusetMemories = specification.cpu?.mems ?? ""
        result.memoryLimit = specification.memory?.limit ?? 0
        result.memorySwapLimit = specification.memory?.swap ?? 0
        result.hugepageLimits = (specification.hugepageLimits ?? []).map {
            .init(pageSize: $0.pageSize, limit: $0.limit)
        }
        result.unified = specification.unified ?? [:]
        return result
    }
}
