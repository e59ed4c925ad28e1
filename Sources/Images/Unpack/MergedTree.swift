internal import Core
internal import LinuxKernel
internal import SystemPackage

/// An overlay of a layer's tree over its parents, visible to the calling thread only.
///
/// The thread gets a mount namespace of its own, so nothing is left on the host if the process dies; it must end after this.
enum MergedTree {
    /// - Parameter scratch: a directory on the tree's filesystem; what is made in it is removed again.
    static func withMount<Result>(
        tree: FilePath, lower: [FilePath], scratch: FilePath, _ body: (FilePath) throws -> Result
    ) throws -> Result {
        let directory = scratch.appending("merge-\(Identifier.random().prefix(16))")
        let work = directory.appending("work")
        let target = directory.appending("merged")
        for path in [directory, work, target] { try EntryCalls.makeDirectory(path, mode: 0o700) }
        defer { try? SnapshotDirectories.remove(directory) }
        do {
            try Syscall.unshareFilesystemState()
            try Syscall.unshare(.mount)
            try Syscall.mount(source: nil, target: "/", type: nil, flags: [.private, .recursive])
            var layers = lower
            if lower.count > OverlayMount.lowerLimit {
                let base = JoinedLayers(directory: directory, lower: Array(lower.suffix(OverlayMount.lowerLimit)))
                try base.open()
                layers = lower.dropLast(base.lower.count) + [base.target]
            }
            let overlay = OverlayMount(lower: layers.map(\.string), upper: tree.string, work: work.string)
            try overlay.mount(at: target)
        } catch {
            throw BerthError(.internal, "mount \(lower.count) layers to unpack another one over them", cause: error)
        }
        defer { try? Syscall.umount2(target, .detach) }
        return try body(target)
    }
}
