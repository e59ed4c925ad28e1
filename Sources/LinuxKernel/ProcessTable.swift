public import SystemPackage

/// What /proc tells of a process.
public struct ProcessStatus: Sendable, Hashable {
    public let pid: Int32
    public let parent: Int32
    /// `R`, `S`, `D`, `Z`, `T`, `X` ... of proc_pid_stat(5).
    public let state: Character
    public let command: String
    /// Clock ticks since boot: with the PID it names one process for ever.
    public let startTime: UInt64
    public let session: Int32

    /// - Returns: `nil` where there is no such process.
    public static func read(_ pid: Int32) -> ProcessStatus? {
        guard let text = try? Files.readText(FilePath("/proc/\(pid)/stat"), limit: 1 << 16) else { return nil }
        return parse(text)
    }

    /// The command stands in parentheses and may itself hold spaces and parentheses.
    static func parse(_ text: String) -> ProcessStatus? {
        guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close,
            let pid = Int32(text[..<open].split(separator: " ").first ?? "")
        else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count >= 20, let state = fields[0].first, let parent = Int32(fields[1]),
            let session = Int32(fields[3]), let startTime = UInt64(fields[19])
        else { return nil }
        return ProcessStatus(
            pid: pid, parent: parent, state: state, command: String(text[text.index(after: open)..<close]),
            startTime: startTime, session: session)
    }

    /// Neither gone nor only waiting to be reaped.
    public var isAlive: Bool { state != "Z" && state != "X" && state != "x" }

    /// Whether the process that had `pid` and `startTime` still runs.
    public static func isAlive(_ pid: Int32, startTime: UInt64) -> Bool {
        guard let status = read(pid) else { return false }
        return status.startTime == startTime && status.isAlive
    }

    /// Whether a signal meets a handler, or is ignored or blocked, in place of its default action (SigCgt, SigIgn and SigBlk of
    /// proc_pid_status(5)); `false` also where there is no such process.
    public static func expects(signal: Int32, _ pid: Int32) -> Bool {
        guard (1...64).contains(signal), let text = try? Files.readText(FilePath("/proc/\(pid)/status"), limit: 1 << 16)
        else { return false }
        return text.split(separator: "\n").contains { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, ["SigCgt", "SigIgn", "SigBlk"].contains(parts[0]) else { return false }
            let mask = UInt64(parts[1].drop { $0 == "\t" || $0 == " " }, radix: 16) ?? 0
            return mask >> UInt64(signal - 1) & 1 == 1
        }
    }

    /// Every PID in /proc.
    public static func all() throws(Errno) -> [Int32] {
        try Files.list("/proc").compactMap { Int32($0) }.sorted()
    }
}
