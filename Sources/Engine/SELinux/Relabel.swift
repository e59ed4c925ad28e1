internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// Gives files another SELinux context.
enum Relabel {
    private static let attribute = "security.selinux"
    private static let depthLimit = 400
    /// Of the system, which would work no more with a container's label.
    private static let forbidden: Set<FilePath> = [
        "/", "/bin", "/boot", "/dev", "/etc", "/etc/passwd", "/etc/pki", "/etc/shadow", "/home", "/lib", "/lib32",
        "/lib64",
        "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/bin",
        "/usr/lib",
        "/usr/lib64", "/usr/local", "/usr/sbin", "/usr/share", "/var", "/var/cache", "/var/lib", "/var/log", "/var/run",
        "/var/spool", "/var/tmp",
    ]

    /// A tree that a container's mount names: with everything in it, other mounts too, but for what its symbolic links lead
    /// to. A filesystem without contexts of its own is left as it is.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) for a directory of the system.
    static func tree(_ path: FilePath, as label: String, field: String) throws {
        do {
            let file = try Syscall.open(path, [.path])
            defer { file.close() }
            // What links lead to is what is mounted.
            let real = FilePath(String(decoding: try EntryCalls.kernelPath(file.fd), as: UTF8.self))
            guard !forbidden.contains(real) else {
                throw BerthError.invalid(
                    field: field, value: path.string,
                    rule: "is a directory of the system, which gets no container's label")
            }
            try tree(real, as: label)
        } catch let error as Errno {
            throw BerthError(.internal, "\(field): could not give \(path) the SELinux label \(label)", cause: error)
        }
    }

    /// A tree of the daemon's own.
    static func tree(_ path: FilePath, as label: String) throws(Errno) {
        guard let name = path.lastComponent else { throw .invalidArgument }
        let parent = try OwnedDescriptor.directory(path.removingLastComponent())
        defer { parent.close() }
        // As getfilecon(3) has it: with the zero at its end.
        try entry(parent.fd, Array(name.string.utf8CString), Array(label.utf8) + [0], depth: 0)
    }

    /// By the descriptor of the directory: a container that has the tree already cannot lead the walk elsewhere.
    private static func entry(
        _ directory: FileDescriptor, _ name: [CChar], _ label: [UInt8], depth: Int
    ) throws(Errno) {
        guard depth < depthLimit else { throw Errno(rawValue: ELOOP) }
        do throws(Errno) {
            try set(directory, name, label)
        } catch .noSuchFileOrDirectory where depth > 0 {
            return
        } catch .notSupported {
            // What is mounted inside may have some.
        }
        let opened: FileDescriptor
        do throws(Errno) {
            opened = try EntryCalls.open(directory, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK)
        } catch {
            // No directory, or gone meanwhile.
            if error == .notDirectory || error == .tooManySymbolicLinkLevels || error == .noSuchFileOrDirectory {
                return
            }
            throw error
        }
        let inside = OwnedDescriptor(opened)
        defer { inside.close() }
        for child in try EntryCalls.names(in: inside.fd) { try entry(inside.fd, child, label, depth: depth + 1) }
    }

    private static func set(_ directory: FileDescriptor, _ name: [CChar], _ label: [UInt8]) throws(Errno) {
        var failure: Errno?
        label.withUnsafeBytes { value in
            do throws(Errno) {
                try EntryCalls.setAttribute(directory, name, attribute, value)
            } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
