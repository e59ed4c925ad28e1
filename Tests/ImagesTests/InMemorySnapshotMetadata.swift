import Core
import Synchronization

@testable import Images

/// Snapshot rows in memory.
final class InMemorySnapshotMetadata: SnapshotMetadata {
    private struct State {
        var rows: [String: SnapshotInfo] = [:]
        var lastID: Int64 = 0
    }

    private let state = Mutex(State())

    init() {}

    func allocateID() async throws -> Int64 {
        state.withLock {
            $0.lastID += 1
            return $0.lastID
        }
    }

    func insert(_ infos: [SnapshotInfo]) async throws {
        try state.withLock { state in
            var rows = state.rows
            for info in infos {
                guard rows[info.key] == nil else {
                    throw BerthError(.alreadyExists, "snapshot \"\(info.key)\" exists already")
                }
                if let parent = info.parent {
                    guard let row = rows[parent] else { throw BerthError.notFound("parent snapshot", parent) }
                    guard row.kind == .committed else {
                        throw BerthError(.failedPrecondition, "parent snapshot \"\(parent)\" is not committed")
                    }
                }
                rows[info.key] = info
            }
            state.rows = rows
        }
    }

    func get(_ key: String) async throws -> SnapshotInfo {
        try state.withLock { state in
            guard let row = state.rows[key] else { throw BerthError.notFound("snapshot", key) }
            return row
        }
    }

    func list() async throws -> [SnapshotInfo] {
        state.withLock { $0.rows.values.sorted { $0.id < $1.id } }
    }

    func commit(
        _ key: String, as name: String, usage: SnapshotUsage, labels: [String: String], updated: Int64
    ) async throws {
        try state.withLock { state in
            guard var row = state.rows[key] else { throw BerthError.notFound("snapshot", key) }
            guard row.kind == .active else {
                throw BerthError(.failedPrecondition, "snapshot \"\(key)\" is not active")
            }
            guard state.rows[name] == nil else {
                throw BerthError(.alreadyExists, "snapshot \"\(name)\" exists already")
            }
            row.key = name
            row.kind = .committed
            row.usage = usage
            row.labels = labels
            row.updated = updated
            state.rows[key] = nil
            state.rows[name] = row
        }
    }

    func setLabels(_ labels: [String: String], of key: String, updated: Int64) async throws -> SnapshotInfo {
        try state.withLock { state in
            guard var row = state.rows[key] else { throw BerthError.notFound("snapshot", key) }
            row.labels = labels
            row.updated = updated
            state.rows[key] = row
            return row
        }
    }

    func retire(_ key: String) async throws -> SnapshotInfo {
        try state.withLock { state in
            guard let row = state.rows[key] else { throw BerthError.notFound("snapshot", key) }
            if let child = state.rows.values.first(where: { $0.parent == key }) {
                throw BerthError(.failedPrecondition, "snapshot \"\(key)\" is the parent of \"\(child.key)\"")
            }
            state.rows[key] = nil
            return row
        }
    }

    /// Tombstones are not kept in memory.
    func forget(_ id: Int64) async throws {}

    func chain(of key: String) async throws -> [SnapshotInfo] {
        try state.withLock { state in
            var chain: [SnapshotInfo] = []
            var next: String? = key
            while let key = next {
                guard let row = state.rows[key] else { throw BerthError.notFound("snapshot", key) }
                chain.append(row)
                next = row.parent
            }
            return chain
        }
    }
}
