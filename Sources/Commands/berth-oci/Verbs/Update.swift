internal import ArgumentParser
internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

struct Update: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Changes limits of a container that runs.",
        discussion: "  berth-oci update --memory 256M --pids-limit 100 mybox")

    @Option(name: [.customShort("r"), .long], help: "File with linux.resources as JSON; - for stdin.")
    var resources: String?

    @Option(help: "Weight of block I/O, 10 to 1000.")
    var blkioWeight: UInt16?

    @Option(help: "Microseconds of a CPU period.")
    var cpuPeriod: UInt64?

    @Option(parsing: .unconditional, help: "Microseconds of CPU in a period.")
    var cpuQuota: Int64?

    @Option(help: "Microseconds that may be saved up.")
    var cpuBurst: UInt64?

    @Option(help: "Relative weight, 2 to 262144.")
    var cpuShare: UInt64?

    @Option(parsing: .unconditional, help: "1: only when nothing else runs.")
    var cpuIdle: Int64?

    @Option(help: "Microseconds of a real-time period (cgroup v1).")
    var cpuRtPeriod: UInt64?

    @Option(parsing: .unconditional, help: "Microseconds of real-time CPU in a period (cgroup v1).")
    var cpuRtRuntime: Int64?

    @Option(help: "CPUs that may be used: 0-2,4.")
    var cpusetCpus: String?

    @Option(help: "Memory nodes that may be used.")
    var cpusetMems: String?

    @Option(parsing: .unconditional, help: "Bytes, with K, M or G; -1: no limit.")
    var memory: String?

    @Option(parsing: .unconditional, help: "Soft limit, in bytes.")
    var memoryReservation: String?

    @Option(parsing: .unconditional, help: "Memory and swap together, in bytes; -1: no limit.")
    var memorySwap: String?

    @Option(parsing: .unconditional, help: "Number of processes; -1: no limit.")
    var pidsLimit: Int64?

    @Option(parsing: .unconditional, help: ArgumentHelp("No kernel has it any more.", visibility: .hidden))
    var kernelMemory: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("No kernel has it any more.", visibility: .hidden))
    var kernelMemoryTcp: String?

    @Option(name: [.customLong("l3-cache-schema")], help: "Schema of Intel RDT for the L3 cache.")
    var l3CacheSchema: String?

    @Option(help: "Schema of Intel RDT for memory bandwidth.")
    var memBwSchema: String?

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        let container = try globals.runtime.container(id)
        guard container.status() != .stopped else { throw BerthError(.failedPrecondition, "container not running") }
        if kernelMemory != nil || kernelMemoryTcp != nil {
            ContainerRuntime.warn(
                "--kernel-memory and --kernel-memory-tcp have no effect: kernels no longer limit that alone")
        }
        if l3CacheSchema != nil || memBwSchema != nil {
            try globals.runtime.updateResctrl(container, schemata: [l3CacheSchema, memBwSchema].compactMap { $0 })
        }
        try container.cgroup.update(try resources.map { try Self.read($0) } ?? flags())
    }

    private static func read(_ file: String) throws -> RuntimeSpec.Linux.Resources {
        let bytes: [UInt8]
        do {
            bytes =
                file == "-"
                ? try Files.read(FileDescriptor.standardInput, limit: 1 << 20)
                : try Files.read(GlobalOptions.absolute(file), limit: 1 << 20)
        } catch {
            throw BerthError(.invalidArgument, "read \(file)", cause: error)
        }
        return try StrictJSON.decode(RuntimeSpec.Linux.Resources.self, from: bytes, what: file)
    }

    private func flags() throws -> RuntimeSpec.Linux.Resources {
        var result = RuntimeSpec.Linux.Resources()
        var cpu = RuntimeSpec.Linux.Resources.CPU()
        cpu.period = cpuPeriod
        cpu.quota = cpuQuota
        cpu.burst = cpuBurst
        cpu.shares = cpuShare
        cpu.idle = cpuIdle
        cpu.cpus = cpusetCpus
        cpu.mems = cpusetMems
        cpu.realtimePeriod = cpuRtPeriod
        cpu.realtimeRuntime = cpuRtRuntime
        result.cpu = cpu
        var limits = RuntimeSpec.Linux.Resources.Memory()
        limits.limit = try memory.map { try Self.bytes($0, "--memory") }
        limits.reservation = try memoryReservation.map { try Self.bytes($0, "--memory-reservation") }
        limits.swap = try memorySwap.map { try Self.bytes($0, "--memory-swap") }
        result.memory = limits
        if let pidsLimit { result.pids = .init(limit: pidsLimit) }
        if let blkioWeight {
            var io = RuntimeSpec.Linux.Resources.BlockIO()
            io.weight = blkioWeight
            result.blockIO = io
        }
        return result
    }

    static func bytes(_ text: String, _ field: String) throws -> Int64 {
        let units: [(String, Int64)] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)]
        var digits = text.uppercased()
        if digits.hasSuffix("B") { digits.removeLast() }
        if digits.hasSuffix("I") { digits.removeLast() }
        var factor: Int64 = 1
        if let unit = units.first(where: { digits.hasSuffix($0.0) }) {
            factor = unit.1
            digits.removeLast()
        }
        guard let number = Int64(digits) else {
            throw BerthError.invalid(field: field, value: text, rule: "must be a number of bytes such as 64M")
        }
        let (result, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow else { throw BerthError.invalid(field: field, value: text, rule: "is too large") }
        return result
    }
}
