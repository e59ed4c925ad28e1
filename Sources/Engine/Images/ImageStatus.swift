public import Core
public import OCISpec

/// An image as CRI sees it: one for each config, with all its names.
public struct ImageStatus: Sendable, Hashable {
    /// The digest of the config.
    public var id: Digest
    /// `docker.io/library/nginx:1`
    public var tags: [String]
    /// `docker.io/library/nginx@sha256:…`
    public var digests: [String]
    /// The manifest for this host.
    public var manifest: Digest
    /// Bytes of manifest, config and compressed layers.
    public var size: Int64
    public var config: ImageConfig
    /// Labels of the names (not of the config), merged.
    public var labels: [String: String]

    /// Kept from a kubelet's image collection.
    public var isPinned: Bool { labels[PinnedLabel.name] == PinnedLabel.value }
}

/// What images occupy.
public struct ImageFilesystem: Sendable, Hashable {
    /// The directory of the snapshots, which tells the filesystem.
    public var path: String
    /// Allocated bytes of blobs and snapshots.
    public var bytes: Int64
    public var inodes: Int64
    /// Nanoseconds since 1970.
    public var time: Int64
}
