internal import SystemPackage

/// How the layers that lie below others in an overlay are kept on disk.
protocol LayerStorage: Sendable {
    /// The snapshotter's name in the containerd API and in the configuration.
    var snapshotter: String { get }

    /// Turns the tree `directory/fs` of a layer that is whole into what is kept of it, beside the tree. Not durable yet.
    func seal(_ directory: FilePath) throws

    /// Removes what `seal` has made superfluous.
    func tidy(_ directory: FilePath) throws

    /// What is kept occupies. To be asked when it is on the disk: a filesystem knows before only about what it will need.
    func usage(_ directory: FilePath) throws -> SnapshotUsage

    /// Whether there is something to do in `open`.
    var isOpened: Bool { get }

    /// Makes `directory/fs` show the layer; often it does already.
    func open(_ directory: FilePath) throws

    /// Where a layer may be written as `ArchiveImage`; `nil` where it cannot be.
    func archiveImage(in directory: FilePath) -> FilePath?

    /// What is done to a sealed layer for its safety, where the filesystem can.
    func protect(_ directory: FilePath) throws
}

/// Layers as directory trees.
struct LayerDirectories: LayerStorage {
    var snapshotter: String { "overlayfs" }
    var isOpened: Bool { false }
    func seal(_ directory: FilePath) throws {}
    func usage(_ directory: FilePath) throws -> SnapshotUsage { try TreeUsage.measure(directory.appending("fs")) }
    func tidy(_ directory: FilePath) throws {}
    func open(_ directory: FilePath) throws {}
    func archiveImage(in directory: FilePath) -> FilePath? { nil }
    func protect(_ directory: FilePath) throws {}
}
