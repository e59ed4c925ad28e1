internal import Core
public import Images
internal import Store

/// Where an operation works: a namespace, a lease that shall hold what it creates, and a snapshotter.
public struct StorageScope: Sendable, Hashable {
    public var namespace: String
    public var lease: String?
    /// `nil`: the configured one.
    public var snapshotter: SnapshotterKind?

    public init(namespace: String, lease: String? = nil, snapshotter: SnapshotterKind? = nil) {
        self.namespace = namespace
        self.lease = lease
        self.snapshotter = snapshotter
    }
}

/// What a lease can hold, in containerd's words.
enum LeaseResource {
    static let content = "content"
    static let ingests = "ingests"
    static func snapshots(_ snapshotter: String) -> String { "snapshots/\(snapshotter)" }
}

extension WriteTransaction {
    /// Lets the lease of `scope`, if it has one, hold the resource.
    func hold(_ id: String, type: String, in scope: StorageScope) throws {
        guard let lease = scope.lease else { return }
        guard try self.lease(lease, namespace: scope.namespace) != nil else {
            throw BerthError.notFound("lease", lease)
        }
        try put(LeaseResourceRecord(namespace: scope.namespace, lease: lease, type: type, id: id))
    }
}
