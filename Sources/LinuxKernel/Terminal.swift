internal import CKernel
public import SystemPackage

/// Terminals of the calling process.
public enum TerminalDevice {
    public static func windowSize(_ fd: FileDescriptor) throws(Errno) -> (columns: UInt32, rows: UInt32) {
        var columns: UInt32 = 0
        var rows: UInt32 = 0
        try Syscall.check(berth_window_size(fd.rawValue, &columns, &rows))
        return (columns, rows)
    }

    public static func setWindowSize(_ fd: FileDescriptor, columns: UInt32, rows: UInt32) throws(Errno) {
        try Syscall.check(berth_set_window_size(fd.rawValue, columns, rows))
    }

    public static func isTerminal(_ fd: FileDescriptor) -> Bool {
        var columns: UInt32 = 0
        var rows: UInt32 = 0
        return berth_window_size(fd.rawValue, &columns, &rows) == 0
    }

    /// Settings of a terminal before it became raw.
    public struct Settings: Sendable {
        fileprivate let bytes: [UInt8]
    }

    public static func makeRaw(_ fd: FileDescriptor) throws(Errno) -> Settings {
        var saved = [UInt8](repeating: 0, count: Int(BERTH_TERMIOS_SIZE))
        try Syscall.check(berth_terminal_raw(fd.rawValue, &saved))
        return Settings(bytes: saved)
    }

    public static func restore(_ fd: FileDescriptor, _ settings: Settings) throws(Errno) {
        try Syscall.check(berth_terminal_restore(fd.rawValue, settings.bytes))
    }
}
