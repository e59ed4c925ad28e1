internal import Glibc
public import SystemPackage

/// A directory as a root: every path is resolved beneath it by the kernel (openat2 `RESOLVE_IN_ROOT`), so that no `..`,
/// absolute symbolic link or magic link, also one that changes meanwhile, leads out of it.
public final class RootedDirectory: Sendable {
    public let descriptor: OwnedDescriptor

    public init(_ descriptor: OwnedDescriptor) {
        self.descriptor = descriptor
    }

    public convenience init(_ path: FilePath) throws(Errno) {
        self.init(try Syscall.open(path, [.path, .directory]))
    }

    /// Opens `path` beneath the root, following symbolic links inside it unless `flags` has `noFollow`.
    public func open(
        _ path: FilePath, _ flags: OpenFlags = .readOnly, mode: UInt32 = 0
    ) throws(Errno) -> OwnedDescriptor {
        try Syscall.openat2(
            descriptor.fd, path.isEmpty ? "." : path, flags, mode: mode, resolve: [.inRoot, .noMagicLinks])
    }

    /// A directory beneath, as a root of its own.
    public func directory(_ path: FilePath) throws(Errno) -> RootedDirectory {
        RootedDirectory(try open(path, [.path, .directory]))
    }

    /// The directory that holds the last component of `path`, and that component.
    ///
    /// Calls on the two with a `*at` system call that does not follow links stay beneath the root.
    ///
    /// - Throws: `invalidArgument` where the last component is missing, `.` or `..`.
    public func parent(of path: FilePath) throws(Errno) -> (directory: OwnedDescriptor, name: FilePath) {
        guard let last = path.lastComponent, last.kind == .regular else { throw .invalidArgument }
        let directory = try open(path.parent, [.path, .directory])
        return (directory, FilePath(last.string))
    }

    /// - Throws: `fileTooLarge` for more than `limit` bytes, `notSupported` for what is no regular file.
    public func read(_ path: FilePath, limit: Int) throws(Errno) -> [UInt8] {
        let file = try open(path, [.readOnly, .nonBlocking, .noControllingTerminal])
        guard try Syscall.fstat(file.fd).kind == .regular else { throw .notSupported }
        return try Files.read(file.fd, limit: limit)
    }

    public func status(_ path: FilePath, follow: Bool = false) throws(Errno) -> FileStatus {
        if path.isEmpty { return try Syscall.fstat(descriptor.fd) }
        let file = try open(path, follow ? [.path] : [.path, .noFollow])
        defer { file.close() }
        return try Syscall.fstat(file.fd)
    }

    public func list(_ path: FilePath = "") throws(Errno) -> [String] {
        let directory = try open(path, [.readOnly, .directory])
        defer { directory.close() }
        return try Syscall.list(directory.fd)
    }

    public func readLink(_ path: FilePath) throws(Errno) -> String {
        let (directory, name) = try parent(of: path)
        return try Syscall.readlinkat(name, in: directory.fd)
    }

    /// mkdir -p beneath the root; existing components (links to directories inside too) are kept.
    @discardableResult
    public func makeDirectories(_ path: FilePath, mode: UInt32 = 0o755) throws(Errno) -> RootedDirectory {
        var reached = FilePath()
        for component in path.components where component.kind != .currentDirectory {
            guard component.kind == .regular else { throw .invalidArgument }
            reached.append(component)
            do throws(Errno) {
                _ = try open(reached, [.path, .directory])
            } catch .noSuchFileOrDirectory {
                let (directory, name) = try parent(of: reached)
                do throws(Errno) { try Syscall.mkdirat(name, mode: mode, in: directory.fd) } catch .fileExists {}
            }
        }
        return try directory(reached)
    }

    /// rm -rf of what is at `path`, without following it; a missing path is no error.
    public func remove(_ path: FilePath) throws(Errno) {
        do throws(Errno) {
            let (directory, name) = try parent(of: path)
            try Files.removeTree(name: name, in: directory.fd)
        } catch .noSuchFileOrDirectory {}
    }
}
