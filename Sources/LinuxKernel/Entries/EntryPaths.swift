internal import CKernel
internal import Glibc
public import SystemPackage

extension EntryStatus {
    /// Modification time in nanoseconds since 1970.
    public var modified: Int64 { modifiedSeconds &* 1_000_000_000 &+ modifiedNanoseconds }
}

/// The same calls on paths of the host, which are text.
extension EntryCalls {
    private static var here: FileDescriptor { FileDescriptor(rawValue: AT_FDCWD) }

    public static func status(_ path: FilePath) throws(Errno) -> EntryStatus {
        try status(here, path.string)
    }

    public static func makeDirectory(_ path: FilePath, mode: UInt32) throws(Errno) {
        try makeDirectory(here, path.string, mode: mode)
    }

    public static func removeDirectory(_ path: FilePath) throws(Errno) {
        try removeDirectory(here, path.string)
    }

    public static func unlink(_ path: FilePath) throws(Errno) {
        try unlink(here, path.string)
    }

    public static func rename(_ path: FilePath, to newPath: FilePath) throws(Errno) {
        try rename(here, path.string, to: here, newPath.string)
    }

    public static func openDirectory(_ path: FilePath) throws(Errno) -> FileDescriptor {
        try open(here, path.string, flags: O_RDONLY | O_DIRECTORY)
    }

    /// Removes `path` and everything below it; it is no error if it does not exist.
    public static func removeTree(_ path: FilePath) throws(Errno) {
        do throws(Errno) {
            try removeTree(here, Array(path.string.utf8CString))
        } catch {
            if error != .noSuchFileOrDirectory { throw error }
        }
    }

    /// Levels that are descended into before deeper directories are moved up.
    private static let removalDepth = 64

    /// Removes `name` and everything below it, without following symbolic links.
    ///
    /// A container or a hostile layer may nest directories deeper than any path reaches; neither the stack nor the number of
    /// descriptors grows with that, since what lies deep is moved up first.
    public static func removeTree(_ directory: FileDescriptor, _ name: [CChar]) throws(Errno) {
        do throws(Errno) {
            try unlink(directory, name)
            return
        } catch {
            guard error == .isDirectory || error == .notPermitted else { throw error }
        }
        let top = try open(directory, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        defer { _ = Glibc.close(top.rawValue) }
        var moved = 0
        repeat {
            moved = 0
            try removeContents(of: top, top: top, depth: 1, moved: &moved)
        } while moved > 0
        try removeDirectory(directory, name)
    }

    private static func removeContents(
        of directory: FileDescriptor, top: FileDescriptor, depth: Int, moved: inout Int
    ) throws(Errno) {
        for name in try names(in: directory) {
            do throws(Errno) {
                try unlink(directory, name)
                continue
            } catch {
                guard error == .isDirectory || error == .notPermitted else { throw error }
            }
            if depth >= removalDepth {
                let unique = Array(".berth-remove-\(UInt64.random(in: 0...UInt64.max))".utf8CString)
                try rename(directory, name, to: top, unique)
                moved += 1
                continue
            }
            let child = try open(directory, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            var failure: Errno?
            do throws(Errno) {
                try removeContents(of: child, top: top, depth: depth + 1, moved: &moved)
            } catch {
                failure = error
            }
            _ = Glibc.close(child.rawValue)
            if let failure { throw failure }
            try removeDirectory(directory, name)
        }
    }
}

extension EntryCalls {
    /// Opens `path`, of several components, beneath `root`: symbolic links, also absolute ones, stay in it
    /// (openat2 `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`).
    public static func openInRoot(
        _ root: FileDescriptor, _ path: Name, flags: Int32
    ) throws(Errno) -> FileDescriptor {
        let resolve = ResolveFlags([.inRoot, .noMagicLinks]).rawValue
        let flags = UInt64(UInt32(bitPattern: flags | O_CLOEXEC))
        // The kernel cannot vouch for ".." in a link's target while somebody renames or mounts, and says EAGAIN.
        for _ in 0..<1000 {
            let result = berth_openat2(root.rawValue, path, flags, 0, resolve)
            if result != -EAGAIN && result != -EINTR { return FileDescriptor(rawValue: try Syscall.check(result)) }
        }
        throw .resourceTemporarilyUnavailable
    }
}

extension OwnedDescriptor {
    /// A directory of the host, opened for reading and fsync.
    public static func directory(_ path: FilePath) throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(try EntryCalls.openDirectory(path))
    }
}
