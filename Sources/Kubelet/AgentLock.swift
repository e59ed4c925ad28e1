internal import Core
internal import Glibc
internal import SystemPackage

/// Keeps a second agent off the same root directory: both would start the same containers.
///
/// The kernel gives the lock back when the process ends, however it ends (flock(2)).
struct AgentLock {
    private let file: FileDescriptor

    init(_ root: FilePath) throws {
        let path = root.appending("lock")
        do {
            file = try FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec, .noFollow], permissions: [.ownerReadWrite])
        } catch let error as Errno {
            throw HostFiles.failure("open", path, error.rawValue)
        }
        guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            try? file.close()
            guard number == EWOULDBLOCK else { throw HostFiles.failure("lock", path, number) }
            throw BerthError(
                .failedPrecondition, "another berth-kubelet runs on \(root)",
                advice: "stop it, or choose another --root-dir")
        }
    }

    func release() { try? file.close() }
}
