internal import Core
internal import NRIAPI
internal import OCISpec

/// Limits, changed by one plugin after the other.
struct AdjustedLimits {
    var limits: RuntimeSpec.Linux.Resources
    /// Of the CPU's and the cache's resource director: a class that the host has made.
    var rdtClass: String?

    init(_ limits: RuntimeSpec.Linux.Resources = .init()) {
        self.limits = limits
    }

    /// - Throws: `BerthError` where two plugins want the same field, or what is wanted cannot be done here.
    mutating func apply(_ wanted: NRILinuxResources, by plugin: String, _ claims: inout FieldClaims) throws {
        if wanted.hasMemory { try apply(wanted.memory, plugin, &claims) }
        if wanted.hasCpu { try apply(wanted.cpu, plugin, &claims) }
        for limit in wanted.hugepageLimits {
            try claims.claim(.hugepageLimits, limit.pageSize, by: plugin)
            var all = (limits.hugepageLimits ?? []).filter { $0.pageSize != limit.pageSize }
            all.append(.init(pageSize: limit.pageSize, limit: limit.limit))
            limits.hugepageLimits = all
        }
        for (file, value) in wanted.unified {
            try claims.claim(.cgroupsUnified, file, by: plugin)
            limits.unified = (limits.unified ?? [:]).merging([file: value]) { $1 }
        }
        if wanted.hasPids {
            try claims.claim(.pidsLimit, by: plugin)
            limits.pids = .init(limit: wanted.pids.limit)
        }
        let rules = wanted.devices.map { rule in
            RuntimeSpec.Linux.Resources.DeviceRule(
                allow: rule.allow, type: rule.type.isEmpty ? nil : rule.type,
                major: rule.hasMajor ? rule.major.value : nil, minor: rule.hasMinor ? rule.minor.value : nil,
                access: rule.access.isEmpty ? nil : rule.access)
        }
        if !rules.isEmpty { limits.devices = (limits.devices ?? []) + rules }
        if wanted.hasRdtClass {
            try claims.claim(.rdtClass, by: plugin)
            rdtClass = wanted.rdtClass.value
        }
        if wanted.hasBlockioClass, !wanted.blockioClass.value.isEmpty {
            throw BerthError(
                .unimplemented,
                "plugin \(plugin) wants linux.resources.blockio_class \"\(wanted.blockioClass.value)\": there are no classes "
                    + "of block I/O here",
                advice: "set the limits themselves by linux.resources.unified")
        }
    }

    private mutating func apply(_ wanted: NRILinuxMemory, _ plugin: String, _ claims: inout FieldClaims) throws {
        var memory = limits.memory ?? .init()
        if wanted.hasLimit {
            try claims.claim(.memLimit, by: plugin)
            memory.limit = wanted.limit.value
            // A limit of both together that was made for another one of memory would not fit.
            if !wanted.hasSwap, wanted.limit.value != 0 { memory.swap = wanted.limit.value }
        }
        if wanted.hasReservation {
            try claims.claim(.memReservation, by: plugin)
            memory.reservation = wanted.reservation.value
        }
        if wanted.hasSwap {
            try claims.claim(.memSwapLimit, by: plugin)
            memory.swap = wanted.swap.value
        }
        if wanted.hasKernel {
            try claims.claim(.memKernelLimit, by: plugin)
            memory.kernel = wanted.kernel.value
        }
        if wanted.hasKernelTcp {
            try claims.claim(.memTcpLimit, by: plugin)
            memory.kernelTCP = wanted.kernelTcp.value
        }
        if wanted.hasSwappiness {
            try claims.claim(.memSwappiness, by: plugin)
            memory.swappiness = wanted.swappiness.value
        }
        if wanted.hasDisableOomKiller {
            try claims.claim(.memDisableOomKiller, by: plugin)
            memory.disableOOMKiller = wanted.disableOomKiller.value
        }
        if wanted.hasUseHierarchy {
            try claims.claim(.memUseHierarchy, by: plugin)
            memory.useHierarchy = wanted.useHierarchy.value
        }
        if memory != .init() { limits.memory = memory }
    }

    private mutating func apply(_ wanted: NRILinuxCPU, _ plugin: String, _ claims: inout FieldClaims) throws {
        var cpu = limits.cpu ?? .init()
        if wanted.hasShares {
            try claims.claim(.cpuShares, by: plugin)
            cpu.shares = wanted.shares.value
        }
        if wanted.hasQuota {
            try claims.claim(.cpuQuota, by: plugin)
            cpu.quota = wanted.quota.value
        }
        if wanted.hasPeriod {
            try claims.claim(.cpuPeriod, by: plugin)
            cpu.period = wanted.period.value
        }
        if wanted.hasRealtimeRuntime {
            try claims.claim(.cpuRealtimeRuntime, by: plugin)
            cpu.realtimeRuntime = wanted.realtimeRuntime.value
        }
        if wanted.hasRealtimePeriod {
            try claims.claim(.cpuRealtimePeriod, by: plugin)
            cpu.realtimePeriod = wanted.realtimePeriod.value
        }
        if !wanted.cpus.isEmpty {
            try claims.claim(.cpusetCpus, by: plugin)
            cpu.cpus = wanted.cpus
        }
        if !wanted.mems.isEmpty {
            try claims.claim(.cpusetMems, by: plugin)
            cpu.mems = wanted.mems
        }
        if cpu != .init() { limits.cpu = cpu }
    }
}
