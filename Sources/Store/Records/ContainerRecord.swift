internal import Foundation
public import GRDB

/// A container of a pod. What it is made of is `payload`, in the engine's words.
///
/// Its root filesystem is the active snapshot of the same key: the record is what keeps it from the garbage collector.
public struct ContainerRecord: Sendable, Hashable {
    public var id: String
    public var podID: String
    /// Unique: the container name that is reserved while the container exists.
    public var name: String
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    /// Version of the payload's schema.
    public var version: Int
    /// JSON.
    public var payload: [UInt8]

    public init(id: String, podID: String, name: String, createdAt: Int64, version: Int, payload: [UInt8]) {
        self.id = id
        self.podID = podID
        self.name = name
        self.createdAt = createdAt
        self.version = version
        self.payload = payload
    }
}

extension ContainerRecord: FetchableRecord, PersistableRecord {
    public static let databaseTableName = "container"

    public init(row: Row) throws {
        self.init(
            id: row["id"], podID: row["podID"], name: row["name"], createdAt: row["createdAt"],
            version: row["version"], payload: [UInt8](row["payload"] as Data))
    }

    public func encode(to container: inout PersistenceContainer) throws {
        container["id"] = id
        container["podID"] = podID
        container["name"] = name
        container["createdAt"] = createdAt
        container["version"] = version
        container["payload"] = Data(payload)
    }
}

extension ReadTransaction {
    public func container(id: String) throws -> ContainerRecord? {
        try ContainerRecord.fetchOne(database, compiledOnce: "SELECT * FROM container WHERE id = ?", [id])
    }

    /// In order of creation.
    public func containers() throws -> [ContainerRecord] {
        try ContainerRecord.order(Column("createdAt"), Column("id")).fetchAll(database)
    }
}

extension WriteTransaction {
    /// Inserts the container or replaces the one with the same id.
    ///
    /// - Throws: `BerthError` (`alreadyExists`) if another container has the same name.
    public func put(_ container: ContainerRecord) throws {
        try database.change(
            compiledOnce: """
                INSERT INTO container (id, podID, name, createdAt, version, payload) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET podID = excluded.podID, name = excluded.name, createdAt = excluded.createdAt,
                    version = excluded.version, payload = excluded.payload
                """,
            [
                container.id, container.podID, container.name, container.createdAt, container.version,
                Data(container.payload),
            ])
    }

    /// - Returns: whether it existed.
    @discardableResult
    public func deleteContainer(id: String) throws -> Bool {
        try database.change(compiledOnce: "DELETE FROM container WHERE id = ?", [id]) > 0
    }
}

extension Database {
    public func containers() async throws -> [ContainerRecord] {
        try await read { try $0.containers() }
    }

    public func put(_ container: ContainerRecord, _ purpose: Purpose = .adding) async throws {
        try await write(durability: .processDeath, purpose) { try $0.put(container) }
    }

    @discardableResult
    public func deleteContainer(id: String) async throws -> Bool {
        try await write(durability: .processDeath, .keeping) { try $0.deleteContainer(id: id) }
    }
}
