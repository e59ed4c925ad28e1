internal import Core
public import GRDB

/// A containerd namespace: a separate view of images, content, snapshots and leases.
public struct NamespaceRecord: Codable, Sendable, Hashable {
    public var name: String
    public var labels: [String: String]

    public init(name: String, labels: [String: String] = [:]) {
        self.name = name
        self.labels = labels
    }
}

extension NamespaceRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "namespace"
}

extension ReadTransaction {
    public func namespace(_ name: String) throws -> NamespaceRecord? {
        try NamespaceRecord.fetchOne(database, key: name)
    }

    /// By name.
    public func namespaces() throws -> [NamespaceRecord] {
        try NamespaceRecord.order(Column("name")).fetchAll(database)
    }

    /// What is left in the namespace, as words such as `2 images`; empty if it can be deleted.
    public func contents(ofNamespace name: String) throws -> [String] {
        try ["image", "content", "snapshot", "lease"].compactMap { table in
            let count =
                try Int.fetchOne(database, sql: "SELECT count(*) FROM \(table) WHERE namespace = ?", arguments: [name])
                ?? 0
            let plural = table == "content" ? "blobs" : "\(table)s"
            return count == 0 ? nil : "\(count) \(count == 1 && table != "content" ? table : plural)"
        }
    }
}

extension WriteTransaction {
    public func put(_ namespace: NamespaceRecord) throws {
        try namespace.save(database)
    }

    /// - Returns: whether it existed.
    @discardableResult
    public func deleteNamespace(_ name: String) throws -> Bool {
        try NamespaceRecord.deleteOne(database, key: name)
    }

    /// A namespace comes into being with the first thing in it, as in containerd.
    func ensureNamespace(_ name: String) throws {
        try database.change(
            compiledOnce: "INSERT INTO namespace (name, labels) VALUES (?, '{}') ON CONFLICT DO NOTHING", [name])
    }
}
