internal import Core
internal import LinuxKernel
public import SystemPackage

extension SnapshotMounts {
    /// Copies the directory `path` of the tree into the empty directory `target`, with owner, mode and all that is in it,
    /// as it was before anything was written. Links in `path` are followed inside the tree.
    ///
    /// - Returns: whether the tree has `path`.
    /// - Throws: `Errno` (`notDirectory`) where something else is there.
    public func copyDirectory(_ path: FilePath, to target: FilePath) throws -> Bool {
        let root = RootedDirectory(try openReadable())
        do {
            try TreeCopy.copy(root.open(path, [.readOnly, .directory]), to: target)
        } catch Errno.noSuchFileOrDirectory {
            return false
        }
        return true
    }

    private func openReadable() throws(Errno) -> OwnedDescriptor {
        let layers = readableLayers
        guard layers.count > 1 else { return try .directory(layers.first ?? "") }
        return try OverlayMount(lower: layers.map(\.string)).open()
    }
}
