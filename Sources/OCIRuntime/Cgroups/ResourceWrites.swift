internal import Core
internal import Glibc
public import LinuxKernel
public import OCISpec

/// Translates limits of the runtime specification into values of cgroup files. Pure.
public struct ResourceWrites {
    let cgroups: CgroupHost
    private var writes: [CgroupWrite] = []

    /// - Throws: `BerthError` (`unimplemented`, `failedPrecondition`) that names a field which this host cannot limit.
    public static func compile(
        _ resources: RuntimeSpec.Linux.Resources, on cgroups: CgroupHost
    ) throws -> [CgroupWrite] {
        var translation = ResourceWrites(cgroups: cgroups)
        if let memory = resources.memory { try translation.add(memory) }
        if let cpu = resources.cpu { try translation.add(cpu) }
        if let pids = resources.pids { try translation.add(pids) }
        if let io = resources.blockIO { try translation.add(io) }
        try translation.add(resources.hugepageLimits ?? [])
        if let network = resources.network { try translation.add(network) }
        try translation.add(resources.rdma ?? [:])
        try translation.add(unified: resources.unified ?? [:])
        return translation.writes
    }

    private init(cgroups: CgroupHost) {
        self.cgroups = cgroups
    }

    private func isUnified(_ controller: String, for field: String) throws -> Bool {
        if let hierarchy = cgroups.hierarchy(of: controller) { return hierarchy.isUnified }
        throw BerthError(
            .failedPrecondition,
            "config.json: linux.resources.\(field): cannot set \(controller) limit: container could not join or create "
                + "cgroup: no \(controller) controller is there, or is this user's")
    }

    private mutating func set(
        _ controller: String, _ file: String, _ value: String, or alternatives: [CgroupWrite] = [],
        ifPresent: Bool = false
    ) {
        writes.append(CgroupWrite(controller, file, value, alternatives: alternatives, ifPresent: ifPresent))
    }

    private func refuse(_ field: String, _ why: String) -> BerthError {
        BerthError(.unimplemented, "config.json: linux.resources.\(field): \(why)")
    }

    private static func limit(_ value: Int64) -> String { value < 0 ? "max" : "\(value)" }

    // MARK: Controllers

    private mutating func add(_ memory: RuntimeSpec.Linux.Resources.Memory) throws {
        let limit = memory.limit ?? 0
        let swap = memory.swap ?? 0
        let wanted =
            limit != 0 || swap != 0 || (memory.reservation ?? 0) != 0 || memory.swappiness != nil
            || memory.disableOOMKiller == true
        guard wanted else { return }
        guard try isUnified("memory", for: "memory") else { return addLegacy(memory) }
        if memory.disableOOMKiller == true {
            throw refuse("memory.disableOOMKiller", "cgroup v2 has no such switch")
        }
        if let reservation = memory.reservation, reservation != 0 {
            set("memory", "memory.low", Self.limit(reservation))
        }
        // v1 counts memory and swap together, v2 swap alone. Where swap is not accounted none can be limited.
        if swap < 0 || swap == 0 && limit < 0 {
            set("memory", "memory.swap.max", "max", ifPresent: true)
        } else if swap > 0 {
            if limit == 0 {
                throw BerthError(
                    .invalidArgument,
                    "config.json: linux.resources.memory.swap: \(swap) without a memory limit means nothing on cgroup v2"
                )
            }
            let alone = limit < 0 ? swap : swap - limit
            set("memory", "memory.swap.max", "\(alone)", ifPresent: alone == 0)
        }
        if limit != 0 { set("memory", "memory.max", Self.limit(limit)) }
    }

    private mutating func addLegacy(_ memory: RuntimeSpec.Linux.Resources.Memory) {
        if let limit = memory.limit, limit != 0 { set("memory", "memory.limit_in_bytes", "\(limit)") }
        if let swap = memory.swap, swap != 0 {
            set("memory", "memory.memsw.limit_in_bytes", "\(swap)")
        } else if memory.limit == -1 {
            // Without a limit of memory one of memory and swap together cannot stay.
            set("memory", "memory.memsw.limit_in_bytes", "-1", ifPresent: true)
        }
        if let reservation = memory.reservation, reservation != 0 {
            set("memory", "memory.soft_limit_in_bytes", "\(reservation)")
        }
        if let swappiness = memory.swappiness { set("memory", "memory.swappiness", "\(swappiness)") }
        if memory.disableOOMKiller == true { set("memory", "memory.oom_control", "1") }
    }

    private mutating func add(_ cpu: RuntimeSpec.Linux.Resources.CPU) throws {
        let hasQuota = (cpu.quota ?? 0) != 0 || (cpu.period ?? 0) != 0
        let wantsCPU =
            (cpu.shares ?? 0) != 0 || hasQuota || cpu.burst != nil || cpu.idle != nil
            || (cpu.realtimeRuntime ?? 0) != 0 || (cpu.realtimePeriod ?? 0) != 0
        if wantsCPU {
            if try isUnified("cpu", for: "cpu") { try addUnified(cpu) } else { try addLegacy(cpu) }
        }
        for (file, value) in [("cpuset.cpus", cpu.cpus), ("cpuset.mems", cpu.mems)] {
            guard let value, !value.isEmpty else { continue }
            _ = try isUnified("cpuset", for: file == "cpuset.cpus" ? "cpu.cpus" : "cpu.mems")
            set("cpuset", file, value)
        }
    }

    private mutating func addUnified(_ cpu: RuntimeSpec.Linux.Resources.CPU) throws {
        if (cpu.realtimeRuntime ?? 0) != 0 || (cpu.realtimePeriod ?? 0) != 0 {
            throw refuse("cpu.realtimeRuntime", "cgroup v2 has no real-time limits")
        }
        if let idle = cpu.idle { set("cpu", "cpu.idle", "\(idle)") }
        if let shares = cpu.shares, shares != 0, cpu.idle != 1 {
            set("cpu", "cpu.weight", "\(Self.weight(shares: shares))")
        }
        if (cpu.quota ?? 0) != 0 || (cpu.period ?? 0) != 0 {
            let quota = cpu.quota ?? 0
            let period = cpu.period ?? 0
            set("cpu", "cpu.max", "\(quota > 0 ? "\(quota)" : "max") \(period != 0 ? period : 100_000)")
        }
        if let burst = cpu.burst { set("cpu", "cpu.max.burst", "\(burst)") }
    }

    private mutating func addLegacy(_ cpu: RuntimeSpec.Linux.Resources.CPU) throws {
        if let idle = cpu.idle { set("cpu", "cpu.idle", "\(idle)") }
        if let shares = cpu.shares, shares != 0 {
            // The kernel would take the nearest that it allows, and say nothing.
            guard (2...262_144).contains(shares) else {
                let bound = shares < 2 ? "minimum allowed cpu-shares is 2" : "maximum allowed cpu-shares is 262144"
                throw BerthError(.invalidArgument, "config.json: linux.resources.cpu.shares: \(shares): the \(bound)")
            }
            set("cpu", "cpu.shares", "\(shares)")
        }
        if let period = cpu.period, period != 0 { set("cpu", "cpu.cfs_period_us", "\(period)") }
        if let quota = cpu.quota, quota != 0 { set("cpu", "cpu.cfs_quota_us", "\(quota)") }
        if let burst = cpu.burst { set("cpu", "cpu.cfs_burst_us", "\(burst)", ifPresent: true) }
        if let period = cpu.realtimePeriod, period != 0 { set("cpu", "cpu.rt_period_us", "\(period)") }
        if let runtime = cpu.realtimeRuntime, runtime != 0 { set("cpu", "cpu.rt_runtime_us", "\(runtime)") }
    }

    /// Shares of v1 (2 to 262144) on the scale of cpu.weight (1 to 10000), by the curve that takes the smallest, the default
    /// (1024 to 100) and the largest onto each other; the mapping that runtimes of the field agreed on.
    public static func weight(shares: UInt64) -> UInt64 {
        if shares <= 2 { return 1 }
        if shares >= 262_144 { return 10_000 }
        let octaves = log2(Double(shares))
        return UInt64(pow(10, (octaves * octaves + 125 * octaves) / 612 - 7.0 / 34).rounded(.up))
    }

    /// A weight of v1's block I/O (10 to 1000) on the scale of io.weight (1 to 10000), linearly.
    static func weight(blockIO weight: UInt16) -> UInt64 {
        1 + (UInt64(max(weight, 10)) - 10) * 9999 / 990
    }

    private mutating func add(_ pids: RuntimeSpec.Linux.Resources.Pids) throws {
        guard let limit = pids.limit else { return }
        _ = try isUnified("pids", for: "pids")
        set("pids", "pids.max", limit < 0 ? "max" : "\(max(limit, 1))")
    }

    private mutating func add(_ io: RuntimeSpec.Linux.Resources.BlockIO) throws {
        let throttles:
            [(field: String, v1: String, v2: String, list: [RuntimeSpec.Linux.Resources.BlockIO.ThrottleDevice])] = [
                ("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", io.throttleReadBpsDevice ?? []),
                ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", io.throttleWriteBpsDevice ?? []),
                ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", io.throttleReadIOPSDevice ?? []),
                (
                    "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops",
                    io.throttleWriteIOPSDevice ?? []
                ),
            ]
        let weights = io.weightDevice ?? []
        guard
            (io.weight ?? 0) != 0 || (io.leafWeight ?? 0) != 0 || !weights.isEmpty
                || throttles.contains(where: { !$0.list.isEmpty })
        else { return }
        let unified = cgroups.hierarchy(of: "blkio") == nil
        _ = try isUnified(unified ? "io" : "blkio", for: "blockIO")
        if unified {
            if (io.leafWeight ?? 0) != 0 { throw refuse("blockIO.leafWeight", "cgroup v2 has no leaf weights") }
            // Which of the two there is depends on the kernel's schedulers.
            if let weight = io.weight, weight != 0 {
                set(
                    "io", "io.bfq.weight", "\(weight)",
                    or: [CgroupWrite("io", "io.weight", "\(Self.weight(blockIO: weight))")])
            }
            for device in weights {
                guard let weight = device.weight else { continue }
                let number = "\(device.major):\(device.minor)"
                set(
                    "io", "io.bfq.weight", "\(number) \(weight)",
                    or: [CgroupWrite("io", "io.weight", "\(number) \(Self.weight(blockIO: weight))")])
            }
            for throttle in throttles {
                for device in throttle.list {
                    set("io", "io.max", "\(device.major):\(device.minor) \(throttle.v2)=\(device.rate)")
                }
            }
        } else {
            if let weight = io.weight, weight != 0 {
                set(
                    "blkio", "blkio.weight", "\(weight)", or: [CgroupWrite("blkio", "blkio.bfq.weight", "\(weight)")])
            }
            if let weight = io.leafWeight, weight != 0 { set("blkio", "blkio.leaf_weight", "\(weight)") }
            for device in weights {
                if let weight = device.weight {
                    let value = "\(device.major):\(device.minor) \(weight)"
                    set(
                        "blkio", "blkio.weight_device", value,
                        or: [CgroupWrite("blkio", "blkio.bfq.weight_device", value)])
                }
                if let weight = device.leafWeight {
                    set("blkio", "blkio.leaf_weight_device", "\(device.major):\(device.minor) \(weight)")
                }
            }
            for throttle in throttles {
                for device in throttle.list {
                    set("blkio", throttle.v1, "\(device.major):\(device.minor) \(device.rate)")
                }
            }
        }
    }

    private mutating func add(_ limits: [RuntimeSpec.Linux.Resources.HugepageLimit]) throws {
        for limit in limits {
            let unified = try isUnified("hugetlb", for: "hugepageLimits")
            let file = unified ? "max" : "limit_in_bytes"
            set("hugetlb", "hugetlb.\(limit.pageSize).\(file)", "\(limit.limit)")
            // Since Linux 5.7: what is reserved and not touched yet counts too.
            set("hugetlb", "hugetlb.\(limit.pageSize).rsvd.\(file)", "\(limit.limit)", ifPresent: true)
        }
    }

    private mutating func add(_ network: RuntimeSpec.Linux.Resources.Network) throws {
        if let classID = network.classID, classID != 0 {
            if cgroups.layout == .unified { throw refuse("network.classID", "cgroup v2 has no net_cls") }
            _ = try isUnified("net_cls", for: "network.classID")
            set("net_cls", "net_cls.classid", "\(classID)")
        }
        for priority in network.priorities ?? [] {
            if cgroups.layout == .unified { throw refuse("network.priorities", "cgroup v2 has no net_prio") }
            _ = try isUnified("net_prio", for: "network.priorities")
            set("net_prio", "net_prio.ifpriomap", "\(priority.name) \(priority.priority)")
        }
    }

    private mutating func add(_ rdma: [String: RuntimeSpec.Linux.Resources.Rdma]) throws {
        for (device, limits) in rdma.sorted(by: { $0.key < $1.key }) {
            _ = try isUnified("rdma", for: "rdma")
            var value = device
            if let handles = limits.hcaHandles { value += " hca_handle=\(handles)" }
            if let objects = limits.hcaObjects { value += " hca_object=\(objects)" }
            set("rdma", "rdma.max", value)
        }
    }

    private mutating func add(unified: [String: String]) throws {
        guard !unified.isEmpty else { return }
        guard cgroups.layout == .unified else {
            throw BerthError(
                .failedPrecondition,
                "config.json: linux.resources.unified: invalid configuration: this host has \(cgroups.layout.rawValue) cgroups, not v2"
            )
        }
        let idles = RuntimeSpec.Linux.Resources.idles(unified)
        for (file, value) in unified.sorted(by: { $0.key < $1.key }) where file != "cpu.weight" || !idles {
            let controller = file.split(separator: ".").first.map(String.init) ?? ""
            guard !file.contains("/"), file.contains("."), file != "cgroup.procs", file != "cgroup.threads" else {
                throw BerthError.invalid(
                    field: "config.json: linux.resources.unified", value: file,
                    rule: "is no file of a cgroup v2 controller")
            }
            if controller != "cgroup" { _ = try isUnified(controller, for: "unified[\"\(file)\"]") }
            for line in value.split(separator: "\n") { set(controller, file, String(line)) }
        }
    }
}
