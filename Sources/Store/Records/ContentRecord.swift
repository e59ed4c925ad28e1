public import Core
public import GRDB

/// A namespace's view of a blob. The bytes are shared by all namespaces and live as long as one of them has a record.
public struct ContentRecord: Codable, Sendable, Hashable {
    public var namespace: String
    public var digest: Digest
    /// Bytes.
    public var size: Int64
    public var labels: [String: String]
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    public var updatedAt: Int64

    public init(
        namespace: String, digest: Digest, size: Int64, labels: [String: String] = [:], createdAt: Int64,
        updatedAt: Int64
    ) {
        self.namespace = namespace
        self.digest = digest
        self.size = size
        self.labels = labels
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

extension ContentRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "content"
}

extension ReadTransaction {
    public func content(_ digest: Digest, namespace: String) throws -> ContentRecord? {
        try ContentRecord.fetchOne(
            database, compiledOnce: "SELECT * FROM content WHERE namespace = ? AND digest = ?",
            [namespace, digest.description])
    }

    /// By digest; of all namespaces where `namespace` is nil.
    public func contents(namespace: String?) throws -> [ContentRecord] {
        var request = ContentRecord.order(Column("namespace"), Column("digest"))
        if let namespace { request = request.filter(Column("namespace") == namespace) }
        return try request.fetchAll(database)
    }

    /// Whether any namespace has a record of the blob.
    public func isContentKnown(_ digest: Digest) throws -> Bool {
        try Int.fetchOne(
            database, compiledOnce: "SELECT 1 FROM content WHERE digest = ? LIMIT 1", [digest.description]) != nil
    }
}

extension WriteTransaction {
    public func put(_ content: ContentRecord) throws {
        try ensureNamespace(content.namespace)
        try content.save(database)
    }

    /// - Returns: whether it existed.
    @discardableResult
    public func deleteContent(_ digest: Digest, namespace: String) throws -> Bool {
        try ContentRecord.deleteOne(database, key: ["namespace": namespace, "digest": digest.description])
    }
}
