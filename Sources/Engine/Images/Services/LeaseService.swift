internal import Core
internal import Store

/// A lease as its clients see it.
public struct Lease: Sendable, Hashable {
    public var id: String
    public var labels: [String: String]
    /// Nanoseconds since 1970.
    public var createdAt: Int64

    init(_ record: LeaseRecord) {
        id = record.id
        labels = record.labels
        createdAt = record.createdAt
    }
}

/// Leases hold content and snapshots back from the garbage collector while a client is still putting them together.
public struct LeaseService: Sendable {
    let storage: ImageStorage

    /// Leases of operations of the daemon itself; those left by a killed daemon are deleted when it starts.
    static let ownerLabel = "dev.berth/owned-by"

    /// - Parameter id: random where it is empty.
    public func create(_ id: String, labels: [String: String], namespace: String) async throws -> Lease {
        try await create(id, labels: labels, namespace: namespace, durability: .powerLoss)
    }

    private func create(
        _ id: String, labels: [String: String], namespace: String, durability: Database.Durability
    ) async throws -> Lease {
        let id = id.isEmpty ? Identifier.random() : id
        guard id.utf8.count <= 1024, !id.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw BerthError.invalid(
                field: "lease id", value: id.prefix(100), rule: "must be 1 to 1024 bytes without control characters")
        }
        let record = LeaseRecord(namespace: namespace, id: id, labels: labels, createdAt: WallClock.now())
        try await storage.database.write(durability: durability) { transaction in
            guard try transaction.lease(id, namespace: namespace) == nil else {
                throw BerthError(.alreadyExists, "lease \"\(id)\" already exists")
            }
            try transaction.put(record)
        }
        return Lease(record)
    }

    /// - Parameter waitForCollection: collects garbage before it returns, instead of soon.
    public func delete(_ id: String, namespace: String, waitForCollection: Bool = false) async throws {
        let existed = try await storage.database.write(.keeping) { try $0.deleteLease(id, namespace: namespace) }
        guard existed else { throw BerthError.notFound("lease", id) }
        if waitForCollection { try await storage.collector.collect() } else { storage.collector.schedule() }
    }

    public func list(namespace: String) async throws -> [Lease] {
        try await storage.database.read { try $0.leases(namespace: namespace).map(Lease.init) }
    }

    public func add(_ resource: (type: String, id: String), to id: String, namespace: String) async throws {
        try Self.validate(resource)
        let (type, resourceID) = resource
        try await storage.database.write { transaction in
            try transaction.hold(resourceID, type: type, in: StorageScope(namespace: namespace, lease: id))
        }
    }

    public func remove(_ resource: (type: String, id: String), from id: String, namespace: String) async throws {
        try Self.validate(resource)
        let (type, resourceID) = resource
        try await storage.database.write(.keeping) { transaction in
            guard try transaction.lease(id, namespace: namespace) != nil else { throw BerthError.notFound("lease", id) }
            try transaction.delete(
                LeaseResourceRecord(namespace: namespace, lease: id, type: type, id: resourceID))
        }
        storage.collector.schedule()
    }

    public func resources(of id: String, namespace: String) async throws -> [(type: String, id: String)] {
        try await storage.database.read { transaction in
            guard try transaction.lease(id, namespace: namespace) != nil else { throw BerthError.notFound("lease", id) }
            return try transaction.resources(ofLease: id, namespace: namespace).map { ($0.type, $0.id) }
        }
    }

    /// Runs `body` with a lease of its own, which is gone afterwards whatever happens.
    func withLease<Value>(
        namespace: String, for purpose: String, _ body: (StorageScope) async throws -> Value
    ) async throws -> Value {
        // The expiry is for the case that a deletion below fails; a killed daemon deletes the lease when it starts.
        let labels = [
            Self.ownerLabel: purpose,
            GarbageGraph.expireLabel: RFC3339.format(WallClock.now() + 24 * 3600 * 1_000_000_000),
        ]
        let lease = try await create("", labels: labels, namespace: namespace, durability: .processDeath)
        func release() async {
            _ = try? await storage.database.write(durability: .processDeath, .keeping) {
                try $0.deleteLease(lease.id, namespace: namespace)
            }
        }
        do {
            let value = try await body(StorageScope(namespace: namespace, lease: lease.id))
            await release()
            return value
        } catch {
            await release()
            storage.collector.schedule()
            throw error
        }
    }

    private static func validate(_ resource: (type: String, id: String)) throws {
        let isKnown =
            ["content", "ingests", "images"].contains(resource.type)
            || resource.type.hasPrefix("snapshots/") && resource.type != "snapshots/"
        guard isKnown else {
            throw BerthError.invalid(
                field: "resource type", value: resource.type,
                rule: "is not supported; known are content, ingests, images and snapshots/SNAPSHOTTER")
        }
        guard !resource.id.isEmpty else {
            throw BerthError.invalid(field: "resource id", value: "", rule: "must not be empty")
        }
    }
}
