public import GRDB

/// Keeps its resources from the garbage collector until it is deleted or expires (label `containerd.io/gc.expire`).
public struct LeaseRecord: Codable, Sendable, Hashable {
    public var namespace: String
    public var id: String
    public var labels: [String: String]
    /// Nanoseconds since 1970.
    public var createdAt: Int64

    public init(namespace: String, id: String, labels: [String: String] = [:], createdAt: Int64) {
        self.namespace = namespace
        self.id = id
        self.labels = labels
        self.createdAt = createdAt
    }
}

/// A thing that a lease keeps: `content` (a digest), `snapshots/overlayfs` (a key) or `ingests` (a reference).
public struct LeaseResourceRecord: Codable, Sendable, Hashable {
    public var namespace: String
    public var lease: String
    public var type: String
    public var id: String

    public init(namespace: String, lease: String, type: String, id: String) {
        self.namespace = namespace
        self.lease = lease
        self.type = type
        self.id = id
    }
}

extension LeaseRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "lease"
}

extension LeaseResourceRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "leaseResource"
}

extension ReadTransaction {
    public func lease(_ id: String, namespace: String) throws -> LeaseRecord? {
        try LeaseRecord.fetchOne(database, key: ["namespace": namespace, "id": id])
    }

    /// By name; of all namespaces where `namespace` is nil.
    public func leases(namespace: String?) throws -> [LeaseRecord] {
        var request = LeaseRecord.order(Column("namespace"), Column("id"))
        if let namespace { request = request.filter(Column("namespace") == namespace) }
        return try request.fetchAll(database)
    }

    public func resources(ofLease id: String, namespace: String) throws -> [LeaseResourceRecord] {
        try LeaseResourceRecord.filter(Column("namespace") == namespace && Column("lease") == id)
            .order(Column("type"), Column("id")).fetchAll(database)
    }
}

extension WriteTransaction {
    public func put(_ lease: LeaseRecord) throws {
        try ensureNamespace(lease.namespace)
        try lease.save(database)
    }

    public func put(_ resource: LeaseResourceRecord) throws {
        try resource.insert(database, onConflict: .ignore)
    }

    /// Deletes the lease with its list of resources (not the resources).
    ///
    /// - Returns: whether it existed.
    @discardableResult
    public func deleteLease(_ id: String, namespace: String) throws -> Bool {
        try LeaseRecord.deleteOne(database, key: ["namespace": namespace, "id": id])
    }

    @discardableResult
    public func delete(_ resource: LeaseResourceRecord) throws -> Bool {
        try resource.delete(database)
    }
}
