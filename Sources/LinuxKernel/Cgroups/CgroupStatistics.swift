public import SystemPackage

/// What a cgroup uses, in the same terms for v1 and v2. Counters that the host lacks are zero or `nil`.
public struct CgroupStatistics: Sendable {
    public struct CPU: Sendable {
        /// Nanoseconds.
        public var usage: UInt64 = 0
        public var user: UInt64 = 0
        public var system: UInt64 = 0
        public var periods: UInt64 = 0
        public var throttledPeriods: UInt64 = 0
        public var throttledTime: UInt64 = 0
        public var perCPU: [UInt64] = []
        public init() {}
    }

    public struct Memory: Sendable {
        /// Bytes.
        public var usage: UInt64 = 0
        public var maxUsage: UInt64 = 0
        /// `nil`: unlimited.
        public var limit: UInt64?
        public var swap: UInt64 = 0
        public var swapLimit: UInt64?
        /// Anonymous memory.
        public var rss: UInt64 = 0
        public var cache: UInt64 = 0
        public var inactiveFile: UInt64 = 0
        public var kernel: UInt64 = 0
        public var mappedFile: UInt64 = 0
        /// Of the cgroup and those below it.
        public var pageFaults: UInt64 = 0
        public var majorPageFaults: UInt64 = 0
        /// Of its own processes, which v2 does not tell apart.
        public var ownPageFaults: UInt64 = 0
        public var ownMajorPageFaults: UInt64 = 0
        public var failures: UInt64 = 0
        public var oomKills: UInt64 = 0
        public init() {}

        /// Usage without the page cache that the kernel would drop first: what a kubelet judges by.
        public var workingSet: UInt64 { usage > inactiveFile ? usage - inactiveFile : 0 }
    }

    public struct Device: Sendable {
        public var major: UInt64 = 0
        public var minor: UInt64 = 0
        public var readBytes: UInt64 = 0
        public var writeBytes: UInt64 = 0
        public var readOperations: UInt64 = 0
        public var writeOperations: UInt64 = 0
        public init() {}
    }

    /// Pressure stall information: shares in percent over 10, 60 and 300 seconds, total in microseconds.
    public struct Pressure: Sendable {
        public struct Line: Sendable {
            public var average10 = 0.0
            public var average60 = 0.0
            public var average300 = 0.0
            public var total: UInt64 = 0
            public init() {}
        }
        public var some = Line()
        public var full = Line()
        public init() {}
    }

    public var cpu = CPU()
    public var memory = Memory()
    public var pids: UInt64 = 0
    public var pidsLimit: UInt64?
    public var devices: [Device] = []
    public var cpuPressure: Pressure?
    public var memoryPressure: Pressure?
    public var ioPressure: Pressure?

    public init() {}
}

extension Cgroup {
    /// - Throws: `noSuchFileOrDirectory` where the cgroup is gone.
    public func statistics() throws(Errno) -> CgroupStatistics {
        guard exists else { throw .noSuchFileOrDirectory }
        var statistics = CgroupStatistics()
        readCPU(into: &statistics.cpu)
        readMemory(into: &statistics.memory)
        statistics.pids = number("pids", "pids.current") ?? 0
        statistics.pidsLimit = number("pids", "pids.max")
        statistics.devices = readDevices()
        statistics.cpuPressure = pressure("cpu.pressure")
        statistics.memoryPressure = pressure("memory.pressure")
        statistics.ioPressure = pressure("io.pressure")
        return statistics
    }

    private func text(_ controller: String, _ file: String) -> String? {
        try? read(controller, file)
    }

    /// `nil` for a missing file and for `max`.
    private func number(_ controller: String, _ file: String) -> UInt64? {
        text(controller, file).flatMap { UInt64($0) }
    }

    private func table(_ controller: String, _ file: String) -> KernelTable {
        guard let directory = directory(of: controller) else { return KernelTable([]) }
        return KernelTable((try? Files.read(directory.path.appending(file), limit: 1 << 20)) ?? [])
    }

    private func readCPU(into cpu: inout CgroupStatistics.CPU) {
        if isUnified("cpu") {
            let values = table("cpu", "cpu.stat")
            cpu.usage = (values["usage_usec"] ?? 0) * 1000
            cpu.user = (values["user_usec"] ?? 0) * 1000
            cpu.system = (values["system_usec"] ?? 0) * 1000
            cpu.periods = values["nr_periods"] ?? 0
            cpu.throttledPeriods = values["nr_throttled"] ?? 0
            cpu.throttledTime = (values["throttled_usec"] ?? 0) * 1000
            return
        }
        cpu.usage = number("cpuacct", "cpuacct.usage") ?? 0
        cpu.user = number("cpuacct", "cpuacct.usage_user") ?? 0
        cpu.system = number("cpuacct", "cpuacct.usage_sys") ?? 0
        cpu.perCPU = (text("cpuacct", "cpuacct.usage_percpu") ?? "").split(separator: " ").compactMap { UInt64($0) }
        let values = table("cpu", "cpu.stat")
        cpu.periods = values["nr_periods"] ?? 0
        cpu.throttledPeriods = values["nr_throttled"] ?? 0
        cpu.throttledTime = values["throttled_time"] ?? 0
    }

    private func readMemory(into memory: inout CgroupStatistics.Memory) {
        let table = table("memory", "memory.stat")
        memory.ownPageFaults = table["pgfault"] ?? 0
        memory.ownMajorPageFaults = table["pgmajfault"] ?? 0
        if isUnified("memory") {
            memory.usage = number("memory", "memory.current") ?? 0
            memory.maxUsage = number("memory", "memory.peak") ?? 0
            memory.limit = number("memory", "memory.max")
            memory.swap = number("memory", "memory.swap.current") ?? 0
            memory.swapLimit = number("memory", "memory.swap.max")
            memory.rss = table["anon"] ?? 0
            memory.cache = table["file"] ?? 0
            memory.inactiveFile = table["inactive_file"] ?? 0
            memory.kernel = table["kernel"] ?? table["slab"] ?? 0
            memory.mappedFile = table["file_mapped"] ?? 0
            memory.pageFaults = memory.ownPageFaults
            memory.majorPageFaults = memory.ownMajorPageFaults
            let events = memoryEvents()
            memory.failures = events["max"] ?? 0
            memory.oomKills = events["oom_kill"] ?? 0
            return
        }
        memory.usage = number("memory", "memory.usage_in_bytes") ?? 0
        memory.maxUsage = number("memory", "memory.max_usage_in_bytes") ?? 0
        memory.limit = limit(number("memory", "memory.limit_in_bytes"))
        if let both = number("memory", "memory.memsw.usage_in_bytes") {
            memory.swap = both > memory.usage ? both - memory.usage : 0
            memory.swapLimit = limit(number("memory", "memory.memsw.limit_in_bytes"))
        }
        memory.rss = table["total_rss"] ?? 0
        memory.cache = table["total_cache"] ?? 0
        memory.inactiveFile = table["total_inactive_file"] ?? 0
        memory.mappedFile = table["total_mapped_file"] ?? 0
        memory.kernel = number("memory", "memory.kmem.usage_in_bytes") ?? 0
        memory.pageFaults = table["total_pgfault"] ?? 0
        memory.majorPageFaults = table["total_pgmajfault"] ?? 0
        memory.failures = number("memory", "memory.failcnt") ?? 0
        memory.oomKills = oomKills()
    }

    /// Processes that the kernel has killed for the memory limit, of the cgroup and (v2) those below it.
    public func oomKills() -> UInt64 {
        memoryEvents()["oom_kill"] ?? 0
    }

    private func memoryEvents() -> KernelTable {
        table("memory", isUnified("memory") ? "memory.events" : "memory.oom_control")
    }

    /// v1 tells "unlimited" as the largest multiple of the page size.
    private func limit(_ value: UInt64?) -> UInt64? {
        guard let value, value < 0x7fff_ffff_ffff_0000 else { return nil }
        return value
    }

    private func readDevices() -> [CgroupStatistics.Device] {
        var devices: [String: CgroupStatistics.Device] = [:]
        func device(_ name: Substring) -> CgroupStatistics.Device {
            var device = devices[String(name)] ?? CgroupStatistics.Device()
            let numbers = name.split(separator: ":").compactMap { UInt64($0) }
            if numbers.count == 2 { (device.major, device.minor) = (numbers[0], numbers[1]) }
            return device
        }
        if isUnified("io") && layout == .unified {
            for line in (text("io", "io.stat") ?? "").split(separator: "\n") {
                let fields = line.split(separator: " ")
                guard let name = fields.first else { continue }
                var entry = device(name)
                for field in fields.dropFirst() {
                    let pair = field.split(separator: "=")
                    guard pair.count == 2, let value = UInt64(pair[1]) else { continue }
                    switch pair[0] {
                    case "rbytes": entry.readBytes = value
                    case "wbytes": entry.writeBytes = value
                    case "rios": entry.readOperations = value
                    case "wios": entry.writeOperations = value
                    default: break
                    }
                }
                devices[String(name)] = entry
            }
        } else {
            for (file, isBytes) in [
                ("blkio.throttle.io_service_bytes_recursive", true), ("blkio.throttle.io_serviced_recursive", false),
            ] {
                for line in (text("blkio", file) ?? "").split(separator: "\n") {
                    let fields = line.split(separator: " ")
                    guard fields.count == 3, let value = UInt64(fields[2]) else { continue }
                    var entry = device(fields[0])
                    switch (fields[1], isBytes) {
                    case ("Read", true): entry.readBytes = value
                    case ("Write", true): entry.writeBytes = value
                    case ("Read", false): entry.readOperations = value
                    case ("Write", false): entry.writeOperations = value
                    default: break
                    }
                    devices[String(fields[0])] = entry
                }
            }
        }
        return devices.sorted { $0.key < $1.key }.map(\.value)
    }

    private func pressure(_ file: String) -> CgroupStatistics.Pressure? {
        guard let text = text("cgroup", file) else { return nil }
        var pressure = CgroupStatistics.Pressure()
        for line in text.split(separator: "\n") {
            var entry = CgroupStatistics.Pressure.Line()
            let fields = line.split(separator: " ")
            for field in fields.dropFirst() {
                let pair = field.split(separator: "=")
                guard pair.count == 2 else { continue }
                switch pair[0] {
                case "avg10": entry.average10 = Double(pair[1]) ?? 0
                case "avg60": entry.average60 = Double(pair[1]) ?? 0
                case "avg300": entry.average300 = Double(pair[1]) ?? 0
                case "total": entry.total = UInt64(pair[1]) ?? 0
                default: break
                }
            }
            if fields.first == "some" { pressure.some = entry } else { pressure.full = entry }
        }
        return pressure
    }
}
