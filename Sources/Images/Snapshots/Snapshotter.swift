public import Core
public import SystemPackage

/// Layers of images and of containers as directory trees.
///
/// A snapshot is active (written to), a view (only read) or committed (a layer, immutable, may be a parent):
///
///     prepare(key, parent) ──> active ──commit(name)──> committed ──> parent of others
///     view(key, parent) ─────> view                        │
///         └── remove(key) <──── any without children <──────┘
///
/// Layers of images are committed under their chain ID (image-spec, config.md, "Layer ChainID"), so that images share
/// them. Keys are opaque: callers that keep namespaces apart put them into the key.
public protocol Snapshotter: Sendable {
    /// Name in the containerd API and in the configuration: `overlayfs`, `erofs`, `native`.
    var name: String { get }
    /// What a layer's tree holds while it is being unpacked.
    var layerForm: LayerForm { get }

    func info(_ key: String) async throws -> SnapshotInfo
    func list() async throws -> [SnapshotInfo]
    /// Replaces the labels.
    func setLabels(_ labels: [String: String], of key: String) async throws -> SnapshotInfo

    /// A writable snapshot over the committed snapshot `parent`, or over nothing.
    func prepare(_ key: String, parent: String?, labels: [String: String]) async throws -> SnapshotMounts
    /// A read-only snapshot of the committed snapshot `parent`.
    func view(_ key: String, parent: String?, labels: [String: String]) async throws -> SnapshotMounts
    /// How to mount an active snapshot or a view.
    func mounts(_ key: String) async throws -> SnapshotMounts
    /// Makes the active snapshot `key` the committed snapshot `name`; what was written is durable afterwards.
    func commit(_ key: String, as name: String, labels: [String: String]) async throws
    /// Removes a snapshot without children. Its key is free at once, also if its bytes cannot be removed yet.
    func remove(_ key: String) async throws
    /// What the snapshot itself occupies, without its parents.
    func usage(_ key: String) async throws -> SnapshotUsage

    /// A directory outside all snapshots, on the same filesystem, to unpack a layer into.
    ///
    /// - Parameter below: in the form `whole`, the tree of the layer below, which is copied.
    func beginLayer(over below: FilePath?) async throws -> LayerStaging
    /// Where the layer may become an EROFS image while its archive is read, with nothing unpacked; `nil` where it has to become a
    /// tree.
    func archiveImage(in staging: LayerStaging) -> FilePath?
    /// Makes `staging.tree` show a layer that became an image.
    func showLayer(_ staging: LayerStaging) async throws
    /// Makes what was unpacked committed snapshots, in order, each durable before its row says that it exists. A layer
    /// whose name exists already is thrown away, and the existing one stays.
    func commitLayers(_ layers: [StagedLayer]) async throws
    /// Throws the staging directory away.
    func abandonLayer(_ staging: LayerStaging) async
    /// The trees of a committed snapshot and its parents, the topmost first, for looking things up in lower layers.
    func layerDirectories(_ name: String) async throws -> [FilePath]

    /// Removes directories that no snapshot owns (left by a crash). Only while nothing else uses the snapshotter.
    func removeOrphans() async throws -> Int
}

extension Snapshotter {
    public func archiveImage(in staging: LayerStaging) -> FilePath? { nil }

    public func showLayer(_ staging: LayerStaging) async throws {}

    public func beginLayer() async throws -> LayerStaging { try await beginLayer(over: nil) }

    public func prepare(_ key: String, parent: String?) async throws -> SnapshotMounts {
        try await prepare(key, parent: parent, labels: [:])
    }

    public func view(_ key: String, parent: String?) async throws -> SnapshotMounts {
        try await view(key, parent: parent, labels: [:])
    }

    public func commit(_ key: String, as name: String) async throws {
        try await commit(key, as: name, labels: [:])
    }

    /// Whether the layer chain `chainID` is there, committed.
    public func unpacked(_ chainID: Digest) async throws -> Bool {
        do {
            return try await info("\(chainID)").kind == .committed
        } catch let error as BerthError where error.code == .notFound {
            return false
        }
    }
}

public enum LayerForm: Sendable {
    /// What the layer changes, in overlayfs's form; layers are independent of each other.
    case changes
    /// All that a container sees of it and of the layers below.
    case whole
}

public enum SnapshotKind: String, Sendable, Codable, CaseIterable {
    case active
    case view
    case committed
}

public struct SnapshotUsage: Hashable, Sendable, Codable {
    /// Bytes of allocated blocks.
    public var bytes: Int64
    public var inodes: Int64

    public init(bytes: Int64 = 0, inodes: Int64 = 0) {
        self.bytes = bytes
        self.inodes = inodes
    }
}

/// One snapshot as metadata keeps it.
public struct SnapshotInfo: Hashable, Sendable, Codable {
    /// Number of the directory `snapshots/N`; never used again after removal.
    public var id: Int64
    public var key: String
    public var parent: String?
    public var kind: SnapshotKind
    public var labels: [String: String]
    /// Set when committed; `nil` while active.
    public var usage: SnapshotUsage?
    /// Nanoseconds since 1970.
    public var created: Int64
    public var updated: Int64

    public init(
        id: Int64, key: String, parent: String?, kind: SnapshotKind, labels: [String: String] = [:],
        usage: SnapshotUsage? = nil, created: Int64, updated: Int64
    ) {
        self.id = id
        self.key = key
        self.parent = parent
        self.kind = kind
        self.labels = labels
        self.usage = usage
        self.created = created
        self.updated = updated
    }
}

/// Where a snapshotter keeps its rows. Each call is one transaction, durable when it returns.
public protocol SnapshotMetadata: Sendable {
    /// A directory number that was never given out before.
    func allocateID() async throws -> Int64
    /// Adds rows, parents first: all of them or none.
    ///
    /// - Throws: `alreadyExists` if a key is taken; `notFound` if a parent does not exist; `failedPrecondition` if a parent is not
    ///   committed.
    func insert(_ infos: [SnapshotInfo]) async throws
    /// - Throws: `notFound`
    func get(_ key: String) async throws -> SnapshotInfo
    func list() async throws -> [SnapshotInfo]
    /// The row of `key` gets the key `name`, the kind committed, and `usage`, `labels` and `updated` as given.
    ///
    /// - Throws: `notFound`; `failedPrecondition` if `key` is not active; `alreadyExists` if `name` is taken.
    func commit(_ key: String, as name: String, usage: SnapshotUsage, labels: [String: String], updated: Int64)
        async throws
    /// - Throws: `notFound`
    func setLabels(_ labels: [String: String], of key: String, updated: Int64) async throws -> SnapshotInfo
    /// Makes the row a tombstone: its key is free, nobody finds it any more, and its directory is to be removed.
    ///
    /// - Throws: `notFound`; `failedPrecondition` if another snapshot has it as parent.
    func retire(_ key: String) async throws -> SnapshotInfo
    /// Removes the row of a retired snapshot, whose directory is gone.
    func forget(_ id: Int64) async throws
    /// `key` itself, then its parent, and so on down to the base.
    func chain(of key: String) async throws -> [SnapshotInfo]
}

/// How to mount a snapshot.
public enum SnapshotMounts: Hashable, Sendable {
    /// One directory tree as it is.
    case bind(source: FilePath, readOnly: Bool)
    case overlay(OverlayMount)
}

/// An overlayfs mount. Without `upper` and `work` it is read-only.
public struct OverlayMount: Hashable, Sendable {
    /// Lower directories, the topmost first, as overlayfs wants them.
    public var lower: [String]
    public var upper: String?
    public var work: String?
    /// The layers that the last of `lower` shows as one, if there are more than an overlay takes: for who has to mount them another
    /// way, since an overlay cannot be mounted with other ids.
    public var joined: [String]
    /// The SELinux context of all files in it; `nil` for their own.
    public var context: String?

    public init(lower: [String], upper: String? = nil, work: String? = nil, joined: [String] = []) {
        self.lower = lower
        self.upper = upper
        self.work = work
        self.joined = joined
    }
}

extension SnapshotMounts {
    /// The trees to look a file up in, the topmost first, before anything was written.
    public var readableLayers: [FilePath] {
        switch self {
        case .bind(let source, _): [source]
        case .overlay(let overlay): overlay.lower.map { FilePath($0) }
        }
    }

    /// The directory that what is written goes to; `nil` for a read-only mount.
    public var writableDirectory: FilePath? {
        switch self {
        case .bind(let source, let readOnly): readOnly ? nil : source
        case .overlay(let overlay): overlay.upper.map { FilePath($0) }
        }
    }

    /// A mount(2) in the form that containerd's clients take: type, source, options.
    public var typeSourceOptions: (type: String, source: String, options: [String]) {
        switch self {
        case .bind(let source, let readOnly):
            return ("bind", source.string, [readOnly ? "ro" : "rw", "rbind"])
        case .overlay(let overlay):
            var options = OverlayMount.settings.map { "\($0)=\($1)" }
            if let work = overlay.work, let upper = overlay.upper {
                options += ["workdir=\(work)", "upperdir=\(upper)"]
            }
            options.append("lowerdir=\(overlay.lower.joined(separator: ":"))")
            return ("overlay", "overlay", options)
        }
    }
}

/// A directory that a layer is being unpacked into.
public struct LayerStaging: Hashable, Sendable {
    /// The tree itself; empty at first.
    public let tree: FilePath
    /// What `abandonLayer` removes.
    public let directory: FilePath

    public init(tree: FilePath, directory: FilePath) {
        self.tree = tree
        self.directory = directory
    }
}

/// An unpacked layer that waits to become a snapshot.
public struct StagedLayer: Hashable, Sendable {
    public var staging: LayerStaging
    public var name: String
    public var parent: String?
    public var labels: [String: String]
    /// It is in its final form already.
    var isSealed = false

    public init(_ staging: LayerStaging, name: String, parent: String?, labels: [String: String] = [:]) {
        self.staging = staging
        self.name = name
        self.parent = parent
        self.labels = labels
    }
}
