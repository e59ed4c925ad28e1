internal import SystemPackage

/// How the layers that lie below others in an overlay are kept on disk.
protocol LayerStorage: Sendable {
    /// The snapshotter's name in the containerd API and in the configuration.
    var snapshotter: String { get }

    /// Turns the tree `directory/fs` of a layer that is whole into what is kept of it, beside the tree. Not durable yet.
    ///
    /// - Returns: what that occupies; `nil` where the tree itself is kept.
    func seal(_ directory: FilePath) throws -> SnapshotUsage?

    /// Removes what `seal` has made superfluous.
    func tidy(_ directory: FilePath) throws

    /// Makes `directory/fs` show the layer; often it does already.
    func open(_ directory: FilePath) throws
}

/// Layers as directory trees.
struct LayerDirectories: LayerStorage {
    var snapshotter: String { "overlayfs" }
    func seal(_ directory: FilePath) throws -> SnapshotUsage? { nil }
    func tidy(_ directory: FilePath) throws {}
    func open(_ directory: FilePath) throws {}
}
