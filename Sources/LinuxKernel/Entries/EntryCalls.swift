internal import Glibc
public import SystemPackage

/// Calls on one directory entry, named by a directory's descriptor and a C string.
///
/// For code that handles tens of thousands of entries whose names are bytes and need not be text (unpacking, diffing): no
/// `String` or `FilePath` is made on the way, and no name is resolved further than the given directory, as long as
/// it holds no slash.
public enum EntryCalls {
    public typealias Name = UnsafePointer<CChar>

    public static func open(
        _ directory: FileDescriptor, _ name: Name, flags: Int32, mode: UInt32 = 0
    ) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try check { Glibc.openat(directory.rawValue, name, flags | O_CLOEXEC, mode) })
    }

    public static func makeDirectory(_ directory: FileDescriptor, _ name: Name, mode: UInt32) throws(Errno) {
        try check { Glibc.mkdirat(directory.rawValue, name, mode) }
    }

    /// - Parameter mode: type bits (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK) and permissions.
    public static func makeNode(
        _ directory: FileDescriptor, _ name: Name, mode: UInt32, major: UInt32, minor: UInt32
    ) throws(Errno) {
        let number = deviceNumber(major: major, minor: minor)
        try check { Glibc.mknodat(directory.rawValue, name, mode, dev_t(number)) }
    }

    public static func makeSymlink(_ directory: FileDescriptor, _ name: Name, target: Name) throws(Errno) {
        try check { Glibc.symlinkat(target, directory.rawValue, name) }
    }

    /// A second name for what `target` names in `targetDirectory`; a symbolic link itself, not what it points to.
    public static func makeLink(
        _ directory: FileDescriptor, _ name: Name, targetDirectory: FileDescriptor, target: Name
    ) throws(Errno) {
        try check { Glibc.linkat(targetDirectory.rawValue, target, directory.rawValue, name, 0) }
    }

    public static func unlink(_ directory: FileDescriptor, _ name: Name) throws(Errno) {
        try check { Glibc.unlinkat(directory.rawValue, name, 0) }
    }

    public static func removeDirectory(_ directory: FileDescriptor, _ name: Name) throws(Errno) {
        try check { Glibc.unlinkat(directory.rawValue, name, AT_REMOVEDIR) }
    }

    public static func rename(
        _ directory: FileDescriptor, _ name: Name, to newDirectory: FileDescriptor, _ newName: Name
    ) throws(Errno) {
        try check { Glibc.renameat(directory.rawValue, name, newDirectory.rawValue, newName) }
    }

    /// lstat(2)
    public static func status(_ directory: FileDescriptor, _ name: Name) throws(Errno) -> EntryStatus {
        var status = stat()
        try check { Glibc.fstatat(directory.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) }
        return EntryStatus(status)
    }

    public static func status(_ descriptor: FileDescriptor) throws(Errno) -> EntryStatus {
        var status = stat()
        try check { Glibc.fstat(descriptor.rawValue, &status) }
        return EntryStatus(status)
    }

    public static func setOwner(
        _ directory: FileDescriptor, _ name: Name, owner: UInt32, group: UInt32
    ) throws(Errno) {
        try check { Glibc.fchownat(directory.rawValue, name, owner, group, AT_SYMLINK_NOFOLLOW) }
    }

    public static func setOwner(_ descriptor: FileDescriptor, owner: UInt32, group: UInt32) throws(Errno) {
        try check { Glibc.fchown(descriptor.rawValue, owner, group) }
    }

    /// Follows symbolic links: only for names that the caller made and that are none.
    public static func setPermissions(_ directory: FileDescriptor, _ name: Name, _ mode: UInt32) throws(Errno) {
        try check { Glibc.fchmodat(directory.rawValue, name, mode, 0) }
    }

    public static func setPermissions(_ descriptor: FileDescriptor, _ mode: UInt32) throws(Errno) {
        try check { Glibc.fchmod(descriptor.rawValue, mode) }
    }

    /// Sets access and modification time of an entry itself, never of a link's target.
    public static func setTimes(
        _ directory: FileDescriptor, _ name: Name, seconds: Int64, nanoseconds: Int64
    ) throws(Errno) {
        let times = [timespec](
            repeating: timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)), count: 2)
        try check { Glibc.utimensat(directory.rawValue, name, times, AT_SYMLINK_NOFOLLOW) }
    }

    public static func setTimes(_ descriptor: FileDescriptor, seconds: Int64, nanoseconds: Int64) throws(Errno) {
        let times = [timespec](
            repeating: timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)), count: 2)
        try check { Glibc.futimens(descriptor.rawValue, times) }
    }

    /// The target of a symbolic link, of at most 4096 bytes.
    public static func readLink(_ directory: FileDescriptor, _ name: Name) throws(Errno) -> [UInt8] {
        var count = 0
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, initialized in
            count = buffer.withMemoryRebound(to: CChar.self) { buffer in
                buffer.baseAddress.map { Glibc.readlinkat(directory.rawValue, name, $0, buffer.count) } ?? -1
            }
            if count < 0 { failure = Errno(rawValue: errno) }
            initialized = max(0, count)
        }
        if let failure { throw failure }
        return bytes
    }

    /// The path that the kernel knows for an open descriptor (`/proc/self/fd/N`).
    public static func kernelPath(_ descriptor: FileDescriptor) throws(Errno) -> [UInt8] {
        let link = Array("/proc/self/fd/\(descriptor.rawValue)".utf8CString)
        return try readLink(FileDescriptor(rawValue: AT_FDCWD), link)
    }

    @discardableResult
    static func check(_ call: () -> Int32) throws(Errno) -> Int32 {
        while true {
            let result = call()
            if result >= 0 { return result }
            let error = errno
            if error != EINTR { throw Errno(rawValue: error) }
        }
    }
}
