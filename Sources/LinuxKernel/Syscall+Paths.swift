internal import CKernel
internal import Glibc
public import SystemPackage

extension Syscall {
    /// `AT_EMPTY_PATH`.
    private static let emptyPath: Int32 = 0x1000

    /// openat2(2); the descriptor is close-on-exec.
    public static func openat2(
        _ directory: FileDescriptor, _ path: FilePath, _ flags: OpenFlags, mode: UInt32 = 0,
        resolve: ResolveFlags = []
    ) throws(Errno) -> OwnedDescriptor {
        let how = UInt64(UInt32(bitPattern: flags.union(.closeOnExec).rawValue))
        while true {
            // RESOLVE_IN_ROOT answers EAGAIN when a rename raced with the walk.
            let result = path.withPlatformString {
                berth_openat2(directory.rawValue, $0, how, UInt64(mode), resolve.rawValue)
            }
            if result == -EINTR || (result == -EAGAIN && !resolve.isEmpty) { continue }
            return try descriptor(result)
        }
    }

    /// openat(2); the descriptor is close-on-exec.
    public static func open(
        _ path: FilePath, _ flags: OpenFlags, mode: UInt32 = 0, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) -> OwnedDescriptor {
        let result = try call {
            path.withPlatformString {
                Glibc.openat(directory.rawValue, $0, flags.union(.closeOnExec).rawValue, mode)
            }
        }
        return OwnedDescriptor(rawValue: result)
    }

    public static func mkdirat(
        _ path: FilePath, mode: UInt32, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        try call { path.withPlatformString { Glibc.mkdirat(directory.rawValue, $0, mode) } }
    }

    /// - Parameter mode: file type and permission bits.
    public static func mknodat(
        _ path: FilePath, mode: UInt32, major: UInt32 = 0, minor: UInt32 = 0,
        in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        try check(path.withPlatformString { berth_mknodat(directory.rawValue, $0, mode, major, minor) })
    }

    public static func symlinkat(
        target: String, _ path: FilePath, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        try call {
            target.withCString { target in
                path.withPlatformString { Glibc.symlinkat(target, directory.rawValue, $0) }
            }
        }
    }

    /// linkat(2); a symbolic link is linked itself.
    public static func linkat(
        _ source: FilePath, in sourceDirectory: FileDescriptor = currentDirectory, _ path: FilePath,
        in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        try call {
            source.withPlatformString { source in
                path.withPlatformString {
                    Glibc.linkat(sourceDirectory.rawValue, source, directory.rawValue, $0, 0)
                }
            }
        }
    }

    public static func unlinkat(
        _ path: FilePath, removeDirectory: Bool = false, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        try call {
            path.withPlatformString { Glibc.unlinkat(directory.rawValue, $0, removeDirectory ? AT_REMOVEDIR : 0) }
        }
    }

    /// Flags of renameat2(2).
    public struct RenameFlags: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let exchange = RenameFlags(rawValue: 2)
        public static let whiteout = RenameFlags(rawValue: 4)
    }

    public static func renameat2(
        _ from: FilePath, in fromDirectory: FileDescriptor = currentDirectory, to: FilePath,
        in toDirectory: FileDescriptor = currentDirectory, flags: RenameFlags = []
    ) throws(Errno) {
        try check(
            from.withPlatformString { from in
                to.withPlatformString { to in
                    berth_renameat2(fromDirectory.rawValue, from, toDirectory.rawValue, to, flags.rawValue)
                }
            })
    }

    public static func fsync(_ fd: FileDescriptor) throws(Errno) {
        try call { Glibc.fsync(fd.rawValue) }
    }

    public static func fdatasync(_ fd: FileDescriptor) throws(Errno) {
        try call { Glibc.fdatasync(fd.rawValue) }
    }

    /// fstatat(2); a symbolic link is described itself unless `follow`.
    public static func stat(
        _ path: FilePath, in directory: FileDescriptor = currentDirectory, follow: Bool = false
    ) throws(Errno) -> FileStatus {
        var status = Glibc.stat()
        try call {
            path.withPlatformString {
                Glibc.fstatat(directory.rawValue, $0, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW)
            }
        }
        return FileStatus(status)
    }

    public static func fstat(_ fd: FileDescriptor) throws(Errno) -> FileStatus {
        var status = Glibc.stat()
        try call { Glibc.fstat(fd.rawValue, &status) }
        return FileStatus(status)
    }

    public static func readlinkat(
        _ path: FilePath, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let size = try call {
            path.withPlatformString { Glibc.readlinkat(directory.rawValue, $0, &buffer, buffer.count) }
        }
        return String(decoding: buffer[..<size].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// fchownat(2); a symbolic link is changed itself. With an empty path, `directory` itself.
    public static func fchownat(
        _ path: FilePath, uid: UInt32, gid: UInt32, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        try call {
            path.withPlatformString {
                Glibc.fchownat(directory.rawValue, $0, uid, gid, AT_SYMLINK_NOFOLLOW | emptyPath)
            }
        }
    }

    /// fchmodat(2), which follows symbolic links: only for names known not to be one.
    public static func fchmodat(
        _ path: FilePath, mode: UInt32, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        try call { path.withPlatformString { Glibc.fchmodat(directory.rawValue, $0, mode, 0) } }
    }

    public static func fchmod(_ fd: FileDescriptor, mode: UInt32) throws(Errno) {
        try call { Glibc.fchmod(fd.rawValue, mode) }
    }

    /// utimensat(2); a symbolic link is changed itself.
    public static func utimensat(
        _ path: FilePath, accessed: (seconds: Int, nanoseconds: Int), modified: (seconds: Int, nanoseconds: Int),
        in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        let times = [
            timespec(tv_sec: accessed.seconds, tv_nsec: accessed.nanoseconds),
            timespec(tv_sec: modified.seconds, tv_nsec: modified.nanoseconds),
        ]
        try call {
            path.withPlatformString { Glibc.utimensat(directory.rawValue, $0, times, AT_SYMLINK_NOFOLLOW) }
        }
    }

    /// The magic number of the filesystem that `fd` is on (statfs(2)).
    public static func filesystemType(_ fd: FileDescriptor) throws(Errno) -> UInt64 {
        var magic: UInt64 = 0
        try check(berth_filesystem_type(fd.rawValue, &magic))
        return magic
    }

    public enum Lock: Int32, Sendable {
        case shared = 1
        case exclusive = 2
    }

    /// flock(2). - Throws: `wouldBlock` where `wait` is false and another holds it.
    public static func flock(_ fd: FileDescriptor, _ lock: Lock, wait: Bool = true) throws(Errno) {
        while true {
            let result = berth_flock(fd.rawValue, lock.rawValue | (wait ? 0 : 4))
            if result == -EINTR { continue }
            try check(result)
            return
        }
    }

    /// The names in the directory `fd`, without `.` and `..`, in the filesystem's order.
    public static func list(_ fd: FileDescriptor) throws(Errno) -> [String] {
        let copy = try call { Glibc.openat(fd.rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard let stream = fdopendir(copy) else {
            let error = Errno(rawValue: Glibc.errno)
            Glibc.close(copy)
            throw error
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            Glibc.errno = 0
            guard let entry = readdir(stream) else {
                if Glibc.errno != 0 { throw Errno(rawValue: Glibc.errno) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }
}
