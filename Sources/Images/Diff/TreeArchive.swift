internal import Core
internal import LinuxKernel
public import SystemPackage

/// A directory's tree as a plain tar archive. Blocks: not for the threads of tasks.
public enum TreeArchive {
    /// Appends to `file`, entries sorted by name. Of an overlay's upper directory it is what a layer is.
    ///
    /// - Throws: as `LayerDiff.create(from:mediaType:)`.
    public static func write(_ tree: FilePath, to file: FileDescriptor) throws {
        let directory: OwnedDescriptor
        do {
            directory = try .directory(tree)
        } catch {
            throw BerthError(.internal, "open \(tree)", cause: error)
        }
        do {
            let walk = TreeWalk { _ = try file.writeAll($0) }
            try walk.run(directory)
        } catch let error as Errno {
            throw BerthError(.internal, "write \(tree) as an archive", cause: error)
        }
    }
}
