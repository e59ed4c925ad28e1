internal import Core
internal import LinuxKernel
public import OCISpec

/// Limits of the runtime specification as properties of a unit (systemd.resource-control(5)). Pure.
///
/// systemd must know them, since it writes what it knows to the cgroup's files again whenever it is reloaded. What it
/// has no property for is written to the files alone.
public struct UnitProperties {
    public private(set) var list: [SystemdManager.Property] = []
    /// What contradicts itself.
    public private(set) var warnings: [String] = []

    public static let unlimited = UInt64.max

    /// - Parameter isUnified: pure cgroup v2; else v1 and hybrid, where systemd knows fewer.
    public init(_ resources: RuntimeSpec.Linux.Resources, isUnified: Bool) throws {
        if isUnified {
            addMemory(resources.memory)
        } else if let limit = resources.memory?.limit, limit != 0 {
            set("MemoryLimit", .uint64(Self.limit(limit)))
        }
        if let cpu = resources.cpu { try add(cpu, isUnified: isUnified) }
        if let limit = resources.pids?.limit {
            set("TasksMax", .uint64(limit < 0 ? Self.unlimited : UInt64(max(limit, 1))))
        }
        if !isUnified, let weight = resources.blockIO?.weight, weight != 0 {
            set("BlockIOWeight", .uint64(UInt64(weight)))
        }
        // Of two values for one file these are written last, and hold.
        if isUnified { try addUnified(resources.unified ?? [:]) }
    }

    private mutating func set(_ name: String, _ value: DBusValue) {
        list.removeAll { $0.name == name }
        list.append((name, value))
    }

    private static func limit(_ value: Int64) -> UInt64 { value < 0 ? unlimited : UInt64(value) }

    private mutating func addMemory(_ memory: RuntimeSpec.Linux.Resources.Memory?) {
        guard let memory else { return }
        let limit = memory.limit ?? 0
        if let reservation = memory.reservation, reservation != 0 {
            set("MemoryLow", .uint64(Self.limit(reservation)))
        }
        if limit != 0 { set("MemoryMax", .uint64(Self.limit(limit))) }
        let swap = memory.swap ?? 0
        if swap > 0 {
            // The specification counts memory and swap together, v2 swap alone.
            set("MemorySwapMax", .uint64(UInt64(max(0, swap - max(0, limit)))))
        } else if swap < 0 || limit < 0 {
            set("MemorySwapMax", .uint64(Self.unlimited))
        }
    }

    private mutating func add(_ cpu: RuntimeSpec.Linux.Resources.CPU, isUnified: Bool) throws {
        if isUnified, cpu.idle == 1 {
            // "idle" of systemd 252 and newer.
            set("CPUWeight", .uint64(0))
            if (cpu.shares ?? 0) != 0 {
                warnings.append("unable to apply both CPUWeight and CpuIdle to systemd, ignoring CPUWeight")
            }
        } else if let shares = cpu.shares, shares != 0 {
            set(
                isUnified ? "CPUWeight" : "CPUShares",
                .uint64(isUnified ? ResourceWrites.weight(shares: shares) : shares))
        }
        if (cpu.quota ?? 0) != 0 || (cpu.period ?? 0) != 0 {
            setQuota(cpu.quota ?? 0, period: cpu.period ?? 0)
        }
        guard isUnified else { return }
        if let cpus = cpu.cpus, !cpus.isEmpty { set("AllowedCPUs", .bytes(try Self.mask(cpus, "cpu.cpus"))) }
        if let mems = cpu.mems, !mems.isEmpty { set("AllowedMemoryNodes", .bytes(try Self.mask(mems, "cpu.mems"))) }
    }

    private mutating func setQuota(_ quota: Int64, period: UInt64) {
        if period != 0 { set("CPUQuotaPeriodUSec", .uint64(period)) }
        guard quota > 0 else {
            set("CPUQuotaPerSecUSec", .uint64(Self.unlimited))
            return
        }
        set("CPUQuotaPerSecUSec", .uint64(Self.quotaOfASecond(quota, period: period)))
    }

    /// Microseconds; systemd counts hundredths of a CPU, and a limit is rounded up and never down.
    static func quotaOfASecond(_ quota: Int64, period: UInt64) -> UInt64 {
        let (product, overflow) = UInt64(quota).multipliedReportingOverflow(by: 1_000_000)
        guard !overflow else { return unlimited }
        let each = product / (period == 0 ? 100_000 : period)
        return each % 10_000 == 0 ? each : (each / 10_000 + 1) * 10_000
    }

    /// `0-2,5` as bits, the lowest first, eight in a byte.
    static func mask(_ list: String, _ field: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for range in list.split(separator: ",") {
            let ends = range.split(separator: "-", omittingEmptySubsequences: false).map {
                Int($0.trimmed)
            }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last,
                (0...8191).contains(first), last <= 8191
            else {
                throw BerthError.invalid(
                    field: "config.json: linux.resources.\(field)", value: list.prefix(128),
                    rule: "is no list of numbers and ranges")
            }
            for number in first...last {
                while bytes.count <= number / 8 { bytes.append(0) }
                bytes[number / 8] |= 1 << UInt8(number % 8)
            }
        }
        return bytes
    }

    // MARK: linux.resources.unified

    private mutating func addUnified(_ files: [String: String]) throws {
        let idles = RuntimeSpec.Linux.Resources.idles(files)
        for (file, value) in files.sorted(by: { $0.key < $1.key }) {
            switch file {
            case "cpu.max": try setMax(value)
            case "cpu.weight" where idles:
                warnings.append("unable to apply both cpu.weight and cpu.idle to systemd, ignoring cpu.weight")
            case "cpu.weight": set("CPUWeight", .uint64(try Self.number(value, file)))
            case "cpu.idle" where idles: set("CPUWeight", .uint64(0))
            case "cpuset.cpus": set("AllowedCPUs", .bytes(try Self.mask(value, "unified[\"\(file)\"]")))
            case "cpuset.mems": set("AllowedMemoryNodes", .bytes(try Self.mask(value, "unified[\"\(file)\"]")))
            case "memory.high": set("MemoryHigh", .uint64(try Self.number(value, file)))
            case "memory.low": set("MemoryLow", .uint64(try Self.number(value, file)))
            case "memory.min": set("MemoryMin", .uint64(try Self.number(value, file)))
            case "memory.max": set("MemoryMax", .uint64(try Self.number(value, file)))
            case "memory.swap.max": set("MemorySwapMax", .uint64(try Self.number(value, file)))
            case "pids.max": set("TasksMax", .uint64(try Self.number(value, file)))
            default: break
            }
        }
    }

    private mutating func setMax(_ value: String) throws {
        let fields = value.split(separator: " ")
        guard let first = fields.first, fields.count <= 2 else { throw Self.broken(value, "cpu.max") }
        let quota = try Self.number(String(first), "cpu.max")
        let period = fields.count == 2 ? try Self.number(String(fields[1]), "cpu.max") : 0
        setQuota(quota == Self.unlimited ? -1 : Int64(clamping: quota), period: period)
    }

    private static func number(_ value: String, _ file: String) throws -> UInt64 {
        let text = value.trimmed
        if text == "max" { return unlimited }
        guard let number = UInt64(text) else { throw broken(value, file) }
        return number
    }

    private static func broken(_ value: String, _ file: String) -> BerthError {
        BerthError.invalid(
            field: "config.json: linux.resources.unified[\"\(file)\"]", value: value.prefix(128),
            rule: "is neither a number nor max")
    }
}

extension RuntimeSpec.Linux.Resources {
    /// Whether files of v2 make the cgroup idle: the kernel refuses it a weight then.
    static func idles(_ files: [String: String]) -> Bool { files["cpu.idle"]?.trimmed == "1" }

    /// With a quota that systemd can say as well: the cgroup's file holds the same before and after systemd writes it again.
    var countedAsSystemdDoes: RuntimeSpec.Linux.Resources {
        guard let quota = cpu?.quota, quota > 0 else { return self }
        let period = cpu?.period ?? 0
        let each = UnitProperties.quotaOfASecond(quota, period: period)
        let (product, overflow) = each.multipliedReportingOverflow(by: period == 0 ? 100_000 : period)
        guard each != UnitProperties.unlimited, !overflow else { return self }
        var counted = self
        counted.cpu?.quota = Int64(product / 1_000_000)
        return counted
    }
}

extension StringProtocol {
    fileprivate var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
