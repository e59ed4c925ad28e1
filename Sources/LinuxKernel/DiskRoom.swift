internal import Glibc
public import SystemPackage

/// What a filesystem has left (statvfs(3)).
public struct DiskRoom: Sendable, Hashable {
    /// Bytes that others than root may still use.
    public let available: Int64
    public let total: Int64

    public init(available: Int64, total: Int64) {
        self.available = available
        self.total = total
    }

    public init(of directory: FileDescriptor) throws(Errno) {
        var status = statvfs()
        try EntryCalls.check { fstatvfs(directory.rawValue, &status) }
        available = Self.bytes(status.f_bavail, status.f_frsize)
        total = Self.bytes(status.f_blocks, status.f_frsize)
    }

    private static func bytes(_ blocks: UInt, _ size: UInt) -> Int64 {
        let (bytes, overflows) = blocks.multipliedReportingOverflow(by: size)
        return overflows ? .max : Int64(clamping: bytes)
    }

    /// What is kept free for everything else on the machine: a hundredth, and 1 GiB at most.
    public var reserve: Int64 { min(total / 100, 1 << 30) }
}
