internal import Engine
internal import NRIAPI
internal import OCISpec

extension NRILinuxResources {
    /// CRI's limits, where 0 means that nothing is asked.
    init(_ limits: LinuxResources) {
        self.init()
        if limits.cpuShares > 0 { cpu.shares.value = UInt64(limits.cpuShares) }
        if limits.cpuQuota != 0 { cpu.quota.value = limits.cpuQuota }
        if limits.cpuPeriod > 0 { cpu.period.value = UInt64(limits.cpuPeriod) }
        if !limits.cpusetCPUs.isEmpty { cpu.cpus = limits.cpusetCPUs }
        if !limits.cpusetMemories.isEmpty { cpu.mems = limits.cpusetMemories }
        if limits.memoryLimit != 0 { memory.limit.value = limits.memoryLimit }
        if limits.memorySwapLimit != 0 { memory.swap.value = limits.memorySwapLimit }
        hugepageLimits = limits.hugepageLimits.map { NRIHugepageLimit(pageSize: $0.pageSize, limit: $0.limit) }
        unified = limits.unified
    }

    init(_ limits: RuntimeSpec.Linux.Resources) {
        self.init()
        if let given = limits.memory { memory = NRILinuxMemory(given) }
        if let given = limits.cpu { cpu = NRILinuxCPU(given) }
        hugepageLimits = (limits.hugepageLimits ?? []).map { NRIHugepageLimit(pageSize: $0.pageSize, limit: $0.limit) }
        unified = limits.unified ?? [:]
        if let limit = limits.pids?.limit { pids.limit = limit }
        devices = (limits.devices ?? []).map { rule in
            NRILinuxDeviceCgroup.with {
                $0.allow = rule.allow
                $0.type = rule.type ?? ""
                if let major = rule.major { $0.major.value = major }
                if let minor = rule.minor { $0.minor.value = minor }
                $0.access = rule.access ?? ""
            }
        }
    }
}

extension NRIHugepageLimit {
    init(pageSize: String, limit: UInt64) {
        self.init()
        self.pageSize = pageSize
        self.limit = limit
    }
}

extension NRILinuxMemory {
    init(_ memory: RuntimeSpec.Linux.Resources.Memory) {
        self.init()
        if let value = memory.limit { limit.value = value }
        if let value = memory.reservation { reservation.value = value }
        if let value = memory.swap { swap.value = value }
        if let value = memory.kernel { kernel.value = value }
        if let value = memory.kernelTCP { kernelTcp.value = value }
        if let value = memory.swappiness { swappiness.value = value }
        if let value = memory.disableOOMKiller { disableOomKiller.value = value }
        if let value = memory.useHierarchy { useHierarchy.value = value }
    }
}

extension NRILinuxCPU {
    init(_ cpu: RuntimeSpec.Linux.Resources.CPU) {
        self.init()
        if let value = cpu.shares { shares.value = value }
        if let value = cpu.quota { quota.value = value }
        if let value = cpu.period { period.value = value }
        if let value = cpu.realtimeRuntime { realtimeRuntime.value = value }
        if let value = cpu.realtimePeriod { realtimePeriod.value = value }
        cpus = cpu.cpus ?? ""
        mems = cpu.mems ?? ""
    }
}
