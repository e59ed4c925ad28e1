internal import Core
internal import Foundation
internal import Glibc
internal import SystemPackage

/// Says when a directory's files have changed (inotify(7)). Where the kernel gives no watch, nothing is said, and the
/// agent's regular look finds the change.
enum DirectoryWatch {
    private static let interesting =
        UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM) | UInt32(IN_DELETE)

    /// - Parameter onChange: called from a thread of the watch's own.
    static func watch(_ path: FilePath, onChange: @escaping @Sendable () -> Void) {
        let descriptor = inotify_init1(Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { return }
        guard inotify_add_watch(descriptor, path.string, interesting) >= 0 else {
            close(descriptor)
            return
        }
        let thread = Thread {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                onChange()
            }
            close(descriptor)
        }
        thread.name = "manifests"
        thread.start()
    }
}
