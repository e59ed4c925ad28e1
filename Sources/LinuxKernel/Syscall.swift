internal import CKernel
internal import Glibc
public import SystemPackage

/// Typed system calls. Each throws the `Errno` of the kernel and nothing else; interrupted calls are retried.
public enum Syscall {
    /// The result of a CKernel function: a negated errno becomes an error.
    @discardableResult
    static func check(_ result: Int32) throws(Errno) -> Int32 {
        guard result >= 0 else { throw Errno(rawValue: -result) }
        return result
    }

    @discardableResult
    static func check(_ result: Int) throws(Errno) -> Int {
        guard result >= 0 else { throw Errno(rawValue: CInt(truncatingIfNeeded: -result)) }
        return result
    }

    /// The result of a libc function: -1 becomes `errno`. Retries `EINTR`.
    @discardableResult
    static func call(_ body: () -> Int32) throws(Errno) -> Int32 {
        while true {
            let result = body()
            if result != -1 { return result }
            let error = Errno(rawValue: Glibc.errno)
            if error != .interrupted { throw error }
        }
    }

    @discardableResult
    static func call(_ body: () -> Int) throws(Errno) -> Int {
        while true {
            let result = body()
            if result != -1 { return result }
            let error = Errno(rawValue: Glibc.errno)
            if error != .interrupted { throw error }
        }
    }

    static func descriptor(_ result: Int32) throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(rawValue: try check(result))
    }

    /// `AT_FDCWD`: relative paths are those of the process.
    public static let currentDirectory = FileDescriptor(rawValue: -100)
}

/// `O_*` flags, with those that `FileDescriptor.OpenOptions` lacks.
public struct OpenFlags: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let readOnly = OpenFlags([])
    public static let writeOnly = OpenFlags(rawValue: O_WRONLY)
    public static let readWrite = OpenFlags(rawValue: O_RDWR)
    public static let create = OpenFlags(rawValue: O_CREAT)
    public static let exclusive = OpenFlags(rawValue: O_EXCL)
    public static let truncate = OpenFlags(rawValue: O_TRUNC)
    public static let append = OpenFlags(rawValue: O_APPEND)
    public static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    public static let directory = OpenFlags(rawValue: O_DIRECTORY)
    public static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    public static let closeOnExec = OpenFlags(rawValue: O_CLOEXEC)
    public static let noControllingTerminal = OpenFlags(rawValue: O_NOCTTY)
    /// `O_PATH`: names a file without opening it.
    public static let path = OpenFlags(rawValue: 0o10000000)
}

/// `RESOLVE_*` flags of openat2(2).
public struct ResolveFlags: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let noMagicLinks = ResolveFlags(rawValue: 0x02)
    public static let beneath = ResolveFlags(rawValue: 0x08)
    public static let inRoot = ResolveFlags(rawValue: 0x10)
}

/// What lstat(2) and fstat(2) tell.
public struct FileStatus: Sendable {
    public enum Kind: Sendable {
        case regular, directory, symlink, characterDevice, blockDevice, fifo, socket, unknown
    }

    public let device: UInt64
    public let inode: UInt64
    /// Type and permission bits.
    public let mode: UInt32
    public let links: UInt64
    public let uid: UInt32
    public let gid: UInt32
    /// Of the device that this node is: `major`, `minor`.
    public let deviceNumber: (major: UInt32, minor: UInt32)
    public let size: Int64
    /// Units of 512 bytes.
    public let blocks: Int64
    public let modified: (seconds: Int, nanoseconds: Int)
    public let accessed: (seconds: Int, nanoseconds: Int)
    public let changed: (seconds: Int, nanoseconds: Int)

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        mode = status.st_mode
        links = UInt64(status.st_nlink)
        uid = status.st_uid
        gid = status.st_gid
        deviceNumber = (berth_device_major(UInt64(status.st_rdev)), berth_device_minor(UInt64(status.st_rdev)))
        size = Int64(status.st_size)
        blocks = Int64(status.st_blocks)
        modified = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        accessed = (status.st_atim.tv_sec, status.st_atim.tv_nsec)
        changed = (status.st_ctim.tv_sec, status.st_ctim.tv_nsec)
    }

    public var permissions: UInt32 { mode & 0o7777 }

    public var kind: Kind {
        switch mode & S_IFMT {
        case S_IFREG: .regular
        case S_IFDIR: .directory
        case S_IFLNK: .symlink
        case S_IFCHR: .characterDevice
        case S_IFBLK: .blockDevice
        case S_IFIFO: .fifo
        case S_IFSOCK: .socket
        default: .unknown
        }
    }
}
