internal import LinuxKernel
internal import OCIRuntime

/// Statistics in the shape that runc prints and engines read.
struct StatisticsEvent: Encodable {
    let type = "stats"
    let id: String
    let data: Statistics

    init(_ container: KnownContainer) throws {
        id = container.id
        let cgroup = container.cgroup.cgroup
        data = Statistics(
            try container.cgroup.statistics(), of: cgroup, try ContainerRuntime.cacheAllocation(of: container))
    }

    enum CodingKeys: String, CodingKey { case type, id, data }

    struct Statistics: Encodable {
        let cpu: CPU
        let cpuset: CPUSet?
        let memory: Memory
        let pids: Pids
        let blkio: BlockIO
        let hugetlb: [String: HugePages]
        let intelRdt: CacheAllocation?

        enum CodingKeys: String, CodingKey {
            case cpu, cpuset, memory, pids, blkio, hugetlb
            case intelRdt = "intel_rdt"
        }

        init(_ statistics: CgroupStatistics, of cgroup: Cgroup, _ cacheAllocation: CacheAllocation?) {
            cpuset = cgroup.cpuset().map { CPUSet($0) }
            hugetlb = cgroup.hugePages().mapValues {
                HugePages(usage: $0.usage, max: $0.maxUsage ?? 0, failcnt: $0.failures)
            }
            intelRdt = cacheAllocation
            cpu = CPU(statistics.cpu, psi: Pressure(statistics.cpuPressure))
            memory = Memory(statistics.memory, raw: cgroup.memoryTable(), psi: Pressure(statistics.memoryPressure))
            pids = Pids(current: statistics.pids, limit: statistics.pidsLimit)
            blkio = BlockIO(statistics.devices, psi: Pressure(statistics.ioPressure))
        }
    }

    struct CPU: Encodable {
        struct Usage: Encodable {
            let total: UInt64
            let percpu: [UInt64]?
            let kernel: UInt64
            let user: UInt64
        }
        struct Throttling: Encodable {
            let periods: UInt64
            let throttledPeriods: UInt64
            let throttledTime: UInt64
        }
        let usage: Usage
        let throttling: Throttling
        let psi: Pressure?

        init(_ cpu: CgroupStatistics.CPU, psi: Pressure?) {
            self.psi = psi
            usage = Usage(
                total: cpu.usage, percpu: cpu.perCPU.isEmpty ? nil : cpu.perCPU, kernel: cpu.system, user: cpu.user)
            throttling = Throttling(
                periods: cpu.periods, throttledPeriods: cpu.throttledPeriods, throttledTime: cpu.throttledTime)
        }
    }

    struct CPUSet: Encodable {
        let cpus: [Int]
        let mems: [Int]

        init(_ cpuset: CgroupStatistics.CPUSet) {
            cpus = cpuset.cpus
            mems = cpuset.memoryNodes
        }
    }

    struct HugePages: Encodable {
        let usage: UInt64
        let max: UInt64
        let failcnt: UInt64
    }

    struct Memory: Encodable {
        struct Entry: Encodable {
            let limit: UInt64
            let usage: UInt64
            let max: UInt64
            let failcnt: UInt64
        }
        let cache: UInt64
        let usage: Entry
        let swap: Entry
        let kernel: Entry
        let raw: [String: UInt64]
        let psi: Pressure?

        init(_ memory: CgroupStatistics.Memory, raw: [String: UInt64], psi: Pressure?) {
            self.psi = psi
            cache = memory.cache
            usage = Entry(
                limit: memory.limit ?? UInt64.max, usage: memory.usage, max: memory.maxUsage, failcnt: memory.failures)
            swap = Entry(
                limit: memory.swapLimit ?? UInt64.max, usage: memory.usage + memory.swap, max: memory.maxUsage,
                failcnt: 0)
            kernel = Entry(limit: UInt64.max, usage: memory.kernel, max: 0, failcnt: 0)
            self.raw = raw
        }
    }

    /// Pressure stall information of cgroup v2, where the kernel keeps it.
    struct Pressure: Encodable {
        struct Line: Encodable {
            let avg10: Double
            let avg60: Double
            let avg300: Double
            let total: UInt64

            init(_ line: CgroupStatistics.Pressure.Line) {
                avg10 = line.average10
                avg60 = line.average60
                avg300 = line.average300
                total = line.total
            }
        }
        let some: Line
        let full: Line

        init?(_ pressure: CgroupStatistics.Pressure?) {
            guard let pressure else { return nil }
            some = Line(pressure.some)
            full = Line(pressure.full)
        }
    }

    struct Pids: Encodable {
        let current: UInt64
        let limit: UInt64?
    }

    struct BlockIO: Encodable {
        struct Entry: Encodable {
            let major: UInt64
            let minor: UInt64
            let op: String
            let value: UInt64
        }
        let ioServiceBytesRecursive: [Entry]
        let ioServicedRecursive: [Entry]
        let psi: Pressure?

        init(_ devices: [CgroupStatistics.Device], psi: Pressure?) {
            self.psi = psi
            ioServiceBytesRecursive = devices.flatMap {
                [
                    Entry(major: $0.major, minor: $0.minor, op: "Read", value: $0.readBytes),
                    Entry(major: $0.major, minor: $0.minor, op: "Write", value: $0.writeBytes),
                ]
            }
            ioServicedRecursive = devices.flatMap {
                [
                    Entry(major: $0.major, minor: $0.minor, op: "Read", value: $0.readOperations),
                    Entry(major: $0.major, minor: $0.minor, op: "Write", value: $0.writeOperations),
                ]
            }
        }
    }
}
