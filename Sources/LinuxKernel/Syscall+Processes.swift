internal import CKernel
internal import Glibc
public import SystemPackage

/// Namespace types: the `CLONE_NEW*` constants.
public struct NamespaceTypes: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let time = NamespaceTypes(rawValue: 0x0000_0080)
    public static let mount = NamespaceTypes(rawValue: 0x0002_0000)
    public static let cgroup = NamespaceTypes(rawValue: 0x0200_0000)
    public static let uts = NamespaceTypes(rawValue: 0x0400_0000)
    public static let ipc = NamespaceTypes(rawValue: 0x0800_0000)
    public static let user = NamespaceTypes(rawValue: 0x1000_0000)
    public static let pid = NamespaceTypes(rawValue: 0x2000_0000)
    public static let network = NamespaceTypes(rawValue: 0x4000_0000)
}

extension Syscall {
    public static func setns(_ fd: FileDescriptor, _ types: NamespaceTypes) throws(Errno) {
        try check(berth_setns(fd.rawValue, Int32(bitPattern: types.rawValue)))
    }

    public static func unshare(_ types: NamespaceTypes) throws(Errno) {
        try check(berth_unshare(Int32(bitPattern: types.rawValue)))
    }

    /// unshare(CLONE_FS): the thread's working directory and root become its own.
    public static func unshareFilesystemState() throws(Errno) {
        try check(berth_unshare(0x200))
    }

    public static func pidfdOpen(_ pid: Int32) throws(Errno) -> OwnedDescriptor {
        try descriptor(berth_pidfd_open(pid, 0))
    }

    public static func pidfdSendSignal(_ pidfd: FileDescriptor, _ signal: Int32) throws(Errno) {
        try check(berth_pidfd_send_signal(pidfd.rawValue, signal))
    }

    /// - Parameter signal: 0 only checks that the process exists and may be signalled.
    public static func kill(_ pid: Int32, _ signal: Int32) throws(Errno) {
        try call { Glibc.kill(pid, signal) }
    }

    /// - Parameter sealable: the file can be sealed (`MFD_ALLOW_SEALING`).
    public static func memfdCreate(
        _ name: String, sealable: Bool = false, closeOnExec: Bool = true
    ) throws(Errno) -> OwnedDescriptor {
        try descriptor(berth_memfd_create(name, (closeOnExec ? 1 : 0) | (sealable ? 2 : 0)))
    }

    public static func prctl(
        _ option: Int32, _ a: UInt = 0, _ b: UInt = 0, _ c: UInt = 0, _ d: UInt = 0
    ) throws(Errno) -> Int32 {
        try check(berth_prctl(option, a, b, c, d))
    }

    /// Of the calling thread, as bits by `CAP_*` number.
    public static func capabilities() throws(Errno) -> (effective: UInt64, permitted: UInt64, inheritable: UInt64) {
        var sets: (UInt64, UInt64, UInt64) = (0, 0, 0)
        try check(berth_capget(&sets.0, &sets.1, &sets.2))
        return sets
    }

    /// Waits for the child of `pidfd` and reaps it, blocking the thread unless `noHang`.
    ///
    /// - Returns: `nil` where `noHang` and it still runs.
    public static func wait(pidfd: FileDescriptor, noHang: Bool = false) throws(Errno) -> ExitStatus? {
        var status: Int32 = 0
        var signal: Int32 = 0
        guard try check(berth_wait_pidfd(pidfd.rawValue, noHang, &status, &signal)) == 1 else { return nil }
        return signal == 0 ? .exited(status) : .signalled(signal)
    }

    public static var processID: Int32 { getpid() }
    public static var effectiveUserID: UInt32 { geteuid() }
    public static var effectiveGroupID: UInt32 { getegid() }

    /// poll(2) of up to 64 descriptors for `events` (POLLIN 1, POLLOUT 4); the result is what happened to each.
    ///
    /// - Parameter timeout: milliseconds; negative waits for ever.
    public static func poll(
        _ descriptors: [(FileDescriptor, events: Int16)], timeout: Int32 = -1
    ) throws(Errno) -> [Int16] {
        let numbers = descriptors.map(\.0.rawValue)
        while true {
            var events = descriptors.map(\.events)
            let result = berth_poll(numbers, &events, numbers.count, timeout)
            if result == -EINTR { continue }
            try check(result)
            return events
        }
    }

    /// Blocks `signals` in the calling thread and returns a signalfd of them.
    public static func signalDescriptor(_ signals: [Int32]) throws(Errno) -> OwnedDescriptor {
        try check(berth_block_signals(signals, signals.count))
        return try descriptor(berth_signalfd(signals, signals.count))
    }

    /// The next signal of a `signalDescriptor`, blocking, with the PID that sent it or ended.
    public static func readSignal(_ fd: FileDescriptor) throws(Errno) -> (signal: Int32, sender: Int32) {
        var number: Int32 = 0
        var sender: Int32 = 0
        while true {
            let result = berth_read_signal(fd.rawValue, &number, &sender)
            if result == -EINTR { continue }
            try check(result)
            return (number, sender)
        }
    }
}

/// How a process ended.
public enum ExitStatus: Sendable, Hashable {
    case exited(Int32)
    case signalled(Int32)

    /// As a shell tells it: the status, or 128 and the signal.
    public var code: Int32 {
        switch self {
        case .exited(let status): status
        case .signalled(let signal): 128 + signal
        }
    }
}
