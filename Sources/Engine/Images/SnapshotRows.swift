internal import Core
internal import Images
internal import Store
internal import Synchronization

/// The rows of a snapshotter in the metadata database, of one namespace.
///
/// What is looked up or created under a lease is held by that lease from the same transaction on, so that the
/// garbage collector cannot take a layer between the moment an unpack found it and the moment it is referred to.
struct SnapshotRows: SnapshotMetadata {
    let database: Database
    let scope: StorageScope
    let snapshotter: String
    let numbers: SnapshotNumbers

    func allocateID() async throws -> Int64 { try await numbers.next() }

    func insert(_ infos: [SnapshotInfo]) async throws {
        // An active snapshot is a container's or a client's scratch; a lost row leaves a directory that is swept.
        let isLayer = infos.contains { $0.kind == .committed }
        try await database.write(durability: isLayer ? .powerLoss : .processDeath) { [self] transaction in
            for info in infos { try insert(info, transaction) }
        }
    }

    private func insert(_ info: SnapshotInfo, _ transaction: WriteTransaction) throws {
        if let parent = info.parent {
            let row = try transaction.snapshot(parent, snapshotter: snapshotter, namespace: scope.namespace)
            guard let row else { throw BerthError.notFound("parent snapshot", parent) }
            guard row.kind == .committed else {
                throw BerthError(.invalidArgument, "parent snapshot \"\(parent)\" is not committed")
            }
        }
        try transaction.insert(record(info))
        try hold(info.key, transaction)
    }

    func get(_ key: String) async throws -> SnapshotInfo {
        guard scope.lease != nil else {
            return try await database.read { [self] in try info(required(key, $0)) }
        }
        return try await database.write(durability: .processDeath) { [self] transaction in
            let row = try required(key, transaction)
            // Who only looks may do it with a lease that is gone.
            if let lease = scope.lease, try transaction.lease(lease, namespace: scope.namespace) != nil {
                try hold(row.key, transaction)
            }
            return info(row)
        }
    }

    func list() async throws -> [SnapshotInfo] {
        try await database.read { [self] transaction in
            try transaction.snapshots(namespace: scope.namespace, snapshotter: snapshotter)
                .filter { !$0.isTombstone }.map(info)
        }
    }

    func commit(
        _ key: String, as name: String, usage: SnapshotUsage, labels: [String: String], updated: Int64
    ) async throws {
        try await database.write { [self] transaction in
            var row = try required(key, transaction)
            guard row.kind == .active else {
                throw BerthError(.failedPrecondition, "snapshot \"\(key)\" is not active")
            }
            guard try transaction.snapshot(name, snapshotter: snapshotter, namespace: scope.namespace) == nil else {
                throw BerthError(.alreadyExists, "snapshot \"\(name)\" already exists")
            }
            row.key = name
            row.kind = .committed
            row.size = usage.bytes
            row.inodes = usage.inodes
            row.labels = labels
            // A committed snapshot is a new one.
            row.createdAt = updated
            row.updatedAt = updated
            try transaction.update(row)
            try hold(name, transaction)
        }
    }

    func setLabels(_ labels: [String: String], of key: String, updated: Int64) async throws -> SnapshotInfo {
        try await database.write { [self] transaction in
            var row = try required(key, transaction)
            row.labels = labels
            row.updatedAt = updated
            try transaction.update(row)
            return info(row)
        }
    }

    func retire(_ key: String) async throws -> SnapshotInfo {
        // A layer whose directory goes must not come back as a row after a power loss. Active ones are void then anyway.
        let kind = try await database.read { [self] in try required(key, $0).kind }
        return try await database.write(durability: kind == .committed ? .powerLoss : .processDeath, .keeping) {
            [self] transaction in
            let row = try required(key, transaction)
            if let child = try transaction.child(
                ofSnapshot: key, snapshotter: snapshotter, namespace: scope.namespace)
            {
                throw BerthError(
                    .failedPrecondition, "snapshot \"\(key)\" cannot be removed: it is the parent of \"\(child.key)\"")
            }
            try transaction.bury(row)
            return info(row)
        }
    }

    func forget(_ id: Int64) async throws {
        _ = try await database.write(durability: .processDeath, .keeping) { try $0.deleteSnapshot(id: id) }
    }

    func chain(of key: String) async throws -> [SnapshotInfo] {
        try await database.read { [self] transaction in
            let rows = try transaction.chain(ofSnapshot: key, snapshotter: snapshotter, namespace: scope.namespace)
            guard !rows.isEmpty else { throw BerthError.notFound("snapshot", key) }
            return rows.map(info)
        }
    }

    private func required(_ key: String, _ transaction: ReadTransaction) throws -> SnapshotRecord {
        let row = try transaction.snapshot(key, snapshotter: snapshotter, namespace: scope.namespace)
        guard let row, !row.isTombstone else { throw BerthError.notFound("snapshot", key) }
        return row
    }

    private func hold(_ key: String, _ transaction: WriteTransaction) throws {
        try transaction.hold(key, type: LeaseResource.snapshots(snapshotter), in: scope)
    }

    private func record(_ info: SnapshotInfo) -> SnapshotRecord {
        SnapshotRecord(
            id: info.id, namespace: scope.namespace, snapshotter: snapshotter, key: info.key, parent: info.parent,
            kind: SnapshotRecord.Kind(info.kind), labels: info.labels, size: info.usage?.bytes ?? 0,
            inodes: info.usage?.inodes ?? 0, createdAt: info.created, updatedAt: info.updated)
    }

    private func info(_ row: SnapshotRecord) -> SnapshotInfo {
        SnapshotInfo(row)
    }
}

extension SnapshotInfo {
    init(_ row: SnapshotRecord) {
        self.init(
            id: row.id, key: row.key, parent: row.parent, kind: SnapshotKind(row.kind), labels: row.labels,
            usage: row.kind == .committed ? SnapshotUsage(bytes: row.size, inodes: row.inodes) : nil,
            created: row.createdAt, updated: row.updatedAt)
    }
}

extension SnapshotRecord.Kind {
    init(_ kind: SnapshotKind) {
        switch kind {
        case .active: self = .active
        case .view: self = .view
        case .committed: self = .committed
        }
    }
}

extension SnapshotKind {
    init(_ kind: SnapshotRecord.Kind) {
        switch kind {
        case .active: self = .active
        case .view: self = .view
        case .committed: self = .committed
        }
    }
}

/// Numbers of new snapshots, taken from the database by the dozen. Those that are left when the daemon ends are never given out.
final class SnapshotNumbers: Sendable {
    private static let dozen: Int64 = 12

    private let database: Database
    private let left = Mutex<Range<Int64>>(0..<0)

    init(database: Database) {
        self.database = database
    }

    func next() async throws -> Int64 {
        if let number = left.withLock({ $0.popFirst() }) { return number }
        // Not durable on its own: a row with one of the numbers is, and takes this commit with it.
        let taken = try await database.write(durability: .processDeath) { try $0.nextSnapshotIDs(Self.dozen) }
        left.withLock { $0 = Range(taken).dropFirst() }
        return taken.lowerBound
    }
}
