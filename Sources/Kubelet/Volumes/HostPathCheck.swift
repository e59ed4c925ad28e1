internal import Core
internal import Glibc
internal import SystemPackage

/// The type checks of a hostPath volume (Kubernetes API reference, HostPathVolumeSource).
enum HostPathCheck {
    static func prepare(_ source: HostPathSource) throws {
        let path = FilePath(source.path)
        switch source.type ?? .unchecked {
        case .unchecked: return
        case .directoryOrCreate:
            if kind(of: path) == nil { try HostFiles.makeDirectories(path, mode: 0o755) }
            try expect(S_IFDIR, "a directory", path)
        case .fileOrCreate:
            if kind(of: path) == nil {
                let descriptor = open(path.string, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644)
                guard descriptor >= 0 else { throw HostFiles.failure("make file", path) }
                close(descriptor)
            }
            try expect(S_IFREG, "a file", path)
        case .directory: try expect(S_IFDIR, "a directory", path)
        case .file: try expect(S_IFREG, "a file", path)
        case .socket: try expect(S_IFSOCK, "a socket", path)
        case .charDevice: try expect(S_IFCHR, "a character device", path)
        case .blockDevice: try expect(S_IFBLK, "a block device", path)
        }
    }

    private static func kind(of path: FilePath) -> mode_t? {
        var info = stat()
        return stat(path.string, &info) == 0 ? info.st_mode & S_IFMT : nil
    }

    private static func expect(_ wanted: mode_t, _ name: String, _ path: FilePath) throws {
        guard let found = kind(of: path) else {
            throw BerthError(.failedPrecondition, "hostPath \(path) does not exist")
        }
        guard found == wanted else { throw BerthError(.failedPrecondition, "hostPath \(path) is not \(name)") }
    }
}
