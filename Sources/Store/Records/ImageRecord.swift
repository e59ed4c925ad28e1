public import Core
public import GRDB

/// A name for a manifest or index, in a namespace.
public struct ImageRecord: Codable, Sendable, Hashable {
    public var namespace: String
    public var name: String
    public var targetMediaType: String
    public var targetDigest: Digest
    /// Bytes of the target blob itself.
    public var targetSize: Int64
    public var targetAnnotations: [String: String]
    public var labels: [String: String]
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    public var updatedAt: Int64

    public init(
        namespace: String, name: String, targetMediaType: String, targetDigest: Digest, targetSize: Int64,
        targetAnnotations: [String: String] = [:], labels: [String: String] = [:], createdAt: Int64, updatedAt: Int64
    ) {
        self.namespace = namespace
        self.name = name
        self.targetMediaType = targetMediaType
        self.targetDigest = targetDigest
        self.targetSize = targetSize
        self.targetAnnotations = targetAnnotations
        self.labels = labels
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

extension ImageRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "image"

    public init(row: Row) throws {
        self.init(
            namespace: row["namespace"], name: row["name"], targetMediaType: row["targetMediaType"],
            targetDigest: try Digest(row["targetDigest"]), targetSize: row["targetSize"],
            targetAnnotations: try Labels.decode(row["targetAnnotations"]), labels: try Labels.decode(row["labels"]),
            createdAt: row["createdAt"], updatedAt: row["updatedAt"])
    }
}

extension ReadTransaction {
    public func image(_ name: String, namespace: String) throws -> ImageRecord? {
        try ImageRecord.fetchOne(
            database, compiledOnce: "SELECT * FROM image WHERE namespace = ? AND name = ?", [namespace, name])
    }

    /// By name; of all namespaces where `namespace` is nil.
    public func images(namespace: String?) throws -> [ImageRecord] {
        var request = ImageRecord.order(Column("namespace"), Column("name"))
        if let namespace { request = request.filter(Column("namespace") == namespace) }
        return try request.fetchAll(database)
    }

    public func images(target: Digest, namespace: String) throws -> [ImageRecord] {
        try ImageRecord
            .filter(Column("targetDigest") == target.description && Column("namespace") == namespace)
            .order(Column("name")).fetchAll(database)
    }
}

extension WriteTransaction {
    public func put(_ image: ImageRecord) throws {
        changesImages = true
        try ensureNamespace(image.namespace)
        try image.save(database)
    }

    /// - Returns: whether it existed.
    @discardableResult
    public func deleteImage(_ name: String, namespace: String) throws -> Bool {
        changesImages = true
        return try ImageRecord.deleteOne(database, key: ["namespace": namespace, "name": name])
    }
}
