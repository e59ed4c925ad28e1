internal import Foundation
public import GRDB

/// A pod sandbox. What it is made of is `payload`, in the engine's words.
public struct PodRecord: Sendable, Hashable {
    public var id: String
    /// Unique: the sandbox name that is reserved while the pod exists.
    public var name: String
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    /// Version of the payload's schema.
    public var version: Int
    /// JSON.
    public var payload: [UInt8]

    public init(id: String, name: String, createdAt: Int64, version: Int, payload: [UInt8]) {
        self.id = id
        self.name = name
        self.createdAt = createdAt
        self.version = version
        self.payload = payload
    }
}

extension PodRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "pod"

    public init(row: Row) throws {
        self.init(
            id: row["id"], name: row["name"], createdAt: row["createdAt"], version: row["version"],
            payload: [UInt8](row["payload"] as Data))
    }

    public func encode(to container: inout PersistenceContainer) throws {
        container["id"] = id
        container["name"] = name
        container["createdAt"] = createdAt
        container["version"] = version
        container["payload"] = Data(payload)
    }
}

extension ReadTransaction {
    public func pod(id: String) throws -> PodRecord? {
        try PodRecord.fetchOne(database, compiledOnce: "SELECT * FROM pod WHERE id = ?", [id])
    }

    /// In order of creation.
    public func pods() throws -> [PodRecord] {
        try PodRecord.order(Column("createdAt"), Column("id")).fetchAll(database)
    }
}

extension WriteTransaction {
    /// Inserts the pod or replaces the one with the same id.
    ///
    /// - Throws: `BerthError` (`alreadyExists`) if another pod has the same name.
    public func put(_ pod: PodRecord) throws {
        try database.change(
            compiledOnce: """
                INSERT INTO pod (id, name, createdAt, version, payload) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, createdAt = excluded.createdAt,
                    version = excluded.version, payload = excluded.payload
                """, [pod.id, pod.name, pod.createdAt, pod.version, Data(pod.payload)])
    }

    /// - Returns: whether it existed.
    @discardableResult
    public func deletePod(id: String) throws -> Bool {
        try database.change(compiledOnce: "DELETE FROM pod WHERE id = ?", [id]) > 0
    }
}

extension Database {
    public func pods() async throws -> [PodRecord] {
        try await read { try $0.pods() }
    }

    public func put(_ pod: PodRecord, _ purpose: Purpose = .adding) async throws {
        try await write(durability: .processDeath, purpose) { try $0.put(pod) }
    }

    @discardableResult
    public func deletePod(id: String) async throws -> Bool {
        try await write(durability: .processDeath, .keeping) { try $0.deletePod(id: id) }
    }
}
