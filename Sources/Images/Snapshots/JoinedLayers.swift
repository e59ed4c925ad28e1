internal import Core
internal import LinuxKernel
private import Synchronization
internal import SystemPackage

/// The lowest of very many layers, mounted as one overlay, which is a layer of others then.
///
/// They have to be the lowest: what a layer deletes of a layer below shows no more where the two are one. The kernel allows an
/// overlay of overlays, and no further step.
struct JoinedLayers: Sendable {
    /// Of the topmost of them: the mount goes with it.
    let directory: FilePath
    /// The topmost first.
    let lower: [FilePath]

    private static let mounting = Mutex(())

    static func target(in directory: FilePath) -> FilePath { directory.appending("joined") }

    var target: FilePath { Self.target(in: directory) }

    /// Mounts them, if they are not mounted. The calling thread ends after this.
    func open() throws {
        guard !SnapshotDirectories.isMountPoint(target, in: directory) else { return }
        try Self.mounting.withLock { _ in
            guard !SnapshotDirectories.isMountPoint(target, in: directory) else { return }
            do {
                try? EntryCalls.makeDirectory(target, mode: 0o700)
                // Very many layers are named relative to a working directory of the thread's own.
                try Syscall.unshareFilesystemState()
                try OverlayMount(lower: lower.map(\.string)).mount(at: target)
            } catch {
                throw BerthError(
                    .internal, "mount the lowest \(lower.count) layers as one at \(target)", cause: error,
                    advice: "set images.snapshotter to native")
            }
        }
    }
}
