internal import Core
public import GRDB

/// A snapshot: a layer directory with a parent.
///
///     prepare -> active --commit--> committed (may be a parent)
///     view    -> view
public struct SnapshotRecord: Codable, Sendable, Hashable {
    public enum Kind: String, Codable, Sendable {
        case active
        case view
        case committed
    }

    /// From ``WriteTransaction/nextSnapshotIDs(_:)``; names the directory and is never used again, also after removal.
    public let id: Int64
    public var namespace: String
    /// `overlayfs`.
    public var snapshotter: String
    /// The client's key while active, its name once committed.
    public var key: String
    public var parent: String?
    public var kind: Kind
    public var labels: [String: String]
    /// Bytes and inodes used, measured at commit; 0 until then.
    public var size: Int64
    public var inodes: Int64
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    public var updatedAt: Int64

    public init(
        id: Int64, namespace: String, snapshotter: String, key: String, parent: String?, kind: Kind,
        labels: [String: String] = [:], size: Int64 = 0, inodes: Int64 = 0, createdAt: Int64, updatedAt: Int64
    ) {
        self.id = id
        self.namespace = namespace
        self.snapshotter = snapshotter
        self.key = key
        self.parent = parent
        self.kind = kind
        self.labels = labels
        self.size = size
        self.inodes = inodes
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

extension SnapshotRecord {
    /// Keys of snapshots that are gone but for their directory. No client can choose them: they begin with a control character.
    private static let tombstonePrefix = "\u{1}removed/"

    public var isTombstone: Bool { key.hasPrefix(Self.tombstonePrefix) }

    /// What the row becomes before the directory is removed: nobody finds it under its key, and it keeps no parent.
    public var tombstone: SnapshotRecord {
        var record = self
        record.key = Self.tombstonePrefix + String(id)
        record.parent = nil
        return record
    }
}

extension SnapshotRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "snapshot"

    public init(row: Row) throws {
        self.init(
            id: row["id"], namespace: row["namespace"], snapshotter: row["snapshotter"], key: row["key"],
            parent: row["parent"], kind: row["kind"], labels: try Labels.decode(row["labels"]), size: row["size"],
            inodes: row["inodes"], createdAt: row["createdAt"], updatedAt: row["updatedAt"])
    }
}

extension SnapshotRecord.Kind: DatabaseValueConvertible {}

extension ReadTransaction {
    /// Those of every snapshotter that have the key; there is one but for clients that use several.
    public func snapshots(key: String, namespace: String) throws -> [SnapshotRecord] {
        try SnapshotRecord.filter(Column("namespace") == namespace && Column("key") == key).order(Column("id"))
            .fetchAll(database)
    }

    public func snapshot(_ key: String, snapshotter: String, namespace: String) throws -> SnapshotRecord? {
        try SnapshotRecord.fetchOne(
            database, compiledOnce: "SELECT * FROM snapshot WHERE namespace = ? AND snapshotter = ? AND key = ?",
            [namespace, snapshotter, key])
    }

    public func snapshot(id: Int64) throws -> SnapshotRecord? {
        try SnapshotRecord.fetchOne(database, compiledOnce: "SELECT * FROM snapshot WHERE id = ?", [id])
    }

    /// In order of creation; of all namespaces or snapshotters where those are nil.
    public func snapshots(namespace: String?, snapshotter: String? = nil) throws -> [SnapshotRecord] {
        var request = SnapshotRecord.order(Column("id"))
        if let namespace { request = request.filter(Column("namespace") == namespace) }
        if let snapshotter { request = request.filter(Column("snapshotter") == snapshotter) }
        return try request.fetchAll(database)
    }

    /// The oldest of the snapshots whose parent is `key`.
    public func child(ofSnapshot key: String, snapshotter: String, namespace: String) throws -> SnapshotRecord? {
        try SnapshotRecord.fetchOne(
            database,
            compiledOnce: """
                SELECT * FROM snapshot WHERE namespace = ? AND snapshotter = ? AND parent = ? ORDER BY id LIMIT 1
                """, [namespace, snapshotter, key])
    }

    /// The snapshot and its parents, nearest first.
    ///
    /// - Throws: `BerthError` (`dataLoss`) if a parent is missing.
    public func chain(ofSnapshot key: String, snapshotter: String, namespace: String) throws -> [SnapshotRecord] {
        var chain: [SnapshotRecord] = []
        var next: String? = key
        while let key = next {
            guard let record = try snapshot(key, snapshotter: snapshotter, namespace: namespace) else {
                if chain.isEmpty { return [] }
                throw BerthError(.dataLoss, "snapshot \"\(key)\", a parent of \"\(chain[0].key)\", is missing")
            }
            chain.append(record)
            next = record.parent
        }
        return chain
    }
}

extension WriteTransaction {
    /// Numbers that were never given out before.
    ///
    /// - Parameter count: at least 1.
    public func nextSnapshotIDs(_ count: Int64 = 1) throws -> ClosedRange<Int64> {
        let last = try Int64.fetchOne(
            database,
            compiledOnce: """
                INSERT INTO counter (name, value) VALUES ('snapshot', :count)
                ON CONFLICT (name) DO UPDATE SET value = value + :count RETURNING value
                """, ["count": count])
        guard let last else { throw BerthError(.internal, "the snapshot counter has no value") }
        return last - count + 1...last
    }

    /// - Throws: `BerthError` (`alreadyExists`).
    public func insert(_ snapshot: SnapshotRecord) throws {
        try ensureNamespace(snapshot.namespace)
        let existing = try self.snapshot(
            snapshot.key, snapshotter: snapshot.snapshotter, namespace: snapshot.namespace)
        guard existing == nil else {
            throw BerthError(.alreadyExists, "snapshot \"\(snapshot.key)\" already exists")
        }
        try database.change(
            compiledOnce: """
                INSERT INTO snapshot
                    (id, namespace, snapshotter, key, parent, kind, labels, size, inodes, createdAt, updatedAt)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            [
                snapshot.id, snapshot.namespace, snapshot.snapshotter, snapshot.key, snapshot.parent, snapshot.kind,
                Labels.encode(snapshot.labels), snapshot.size, snapshot.inodes, snapshot.createdAt, snapshot.updatedAt,
            ])
    }

    /// Makes the row what ``SnapshotRecord/tombstone`` says.
    public func bury(_ snapshot: SnapshotRecord) throws {
        let tombstone = snapshot.tombstone
        let count = try database.change(
            compiledOnce: "UPDATE snapshot SET key = ?, parent = ? WHERE id = ?",
            [tombstone.key, tombstone.parent, tombstone.id])
        guard count > 0 else { throw BerthError.notFound("snapshot", snapshot.key) }
    }

    /// Replaces the row of `snapshot.id`.
    public func update(_ snapshot: SnapshotRecord) throws {
        do {
            try snapshot.update(database)
        } catch RecordError.recordNotFound {
            throw BerthError.notFound("snapshot", snapshot.key)
        }
    }

    /// - Returns: whether it existed.
    @discardableResult
    public func deleteSnapshot(id: Int64) throws -> Bool {
        try database.change(compiledOnce: "DELETE FROM snapshot WHERE id = ?", [id]) > 0
    }
}
