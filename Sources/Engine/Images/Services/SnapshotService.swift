internal import Core
public import Images
internal import Store

/// Snapshots as the clients of a namespace see them.
public struct SnapshotService: Sendable {
    /// Those that can be used on this host, first what clients get that name none.
    public var usableSnapshotters: [String] {
        let others = SnapshotterKind.allCases.filter { kind in
            kind != storage.snapshotterKind && (try? kind.check(root: storage.directories.root)) != nil
        }
        return ([storage.snapshotterKind] + others).map(\.rawValue)
    }

    /// `scope` with the snapshotter that a client names.
    ///
    /// - Throws: `BerthError`: `invalidArgument` for an unknown one, as containerd answers; `failedPrecondition` with the reason
    ///   where it cannot be used on this host.
    public func scope(_ scope: StorageScope, snapshotter name: String) throws -> StorageScope {
        guard let kind = SnapshotterKind(rawValue: name) else {
            throw BerthError.invalid(
                field: "snapshotter", value: name,
                rule: "is not loaded; known are \(SnapshotterKind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        if kind != storage.snapshotterKind { try kind.check(root: storage.directories.root) }
        var scope = scope
        scope.snapshotter = kind
        return scope
    }

    public typealias Info = SnapshotInfo

    let storage: ImageStorage

    public func prepare(
        _ key: String, parent: String?, labels: [String: String], scope: StorageScope
    ) async throws -> SnapshotMounts {
        try Self.validate(key)
        let mounts = try await storage.snapshotter(scope).prepare(key, parent: parent, labels: labels)
        publish(.snapshotPrepare(key: key, parent: parent ?? "", snapshotter: kindName(scope)), scope)
        return mounts
    }

    public func view(
        _ key: String, parent: String?, labels: [String: String], scope: StorageScope
    ) async throws -> SnapshotMounts {
        try Self.validate(key)
        let mounts = try await storage.snapshotter(scope).view(key, parent: parent, labels: labels)
        publish(.snapshotPrepare(key: key, parent: parent ?? "", snapshotter: kindName(scope)), scope)
        return mounts
    }

    public func mounts(_ key: String, scope: StorageScope) async throws -> SnapshotMounts {
        try await storage.snapshotter(scope).mounts(key)
    }

    /// Makes the active snapshot `key` the committed `name`.
    public func commit(_ key: String, as name: String, labels: [String: String], scope: StorageScope) async throws {
        try Self.validate(name)
        try await storage.snapshotter(scope).commit(key, as: name, labels: labels)
        publish(.snapshotCommit(key: key, name: name, snapshotter: kindName(scope)), scope)
    }

    public func remove(_ key: String, scope: StorageScope) async throws {
        try await storage.snapshotter(scope).remove(key)
        publish(.snapshotRemove(key: key, snapshotter: kindName(scope)), scope)
    }

    public func info(_ key: String, scope: StorageScope) async throws -> SnapshotInfo {
        try await storage.snapshotter(scope).info(key)
    }

    /// Changes labels; one with an empty value is removed.
    ///
    /// - Parameter replacingAll: also removes the labels that are not in `labels`.
    public func update(
        _ key: String, labels: [String: String], replacingAll: Bool, scope: StorageScope
    ) async throws -> SnapshotInfo {
        let snapshotter = try storage.snapshotter(scope)
        let present = replacingAll ? [:] : try await snapshotter.info(key).labels
        return try await snapshotter.setLabels(
            present.merging(labels) { $1 }.filter { !$0.value.isEmpty }, of: key)
    }

    /// In order of creation.
    public func list(scope: StorageScope) async throws -> [SnapshotInfo] {
        try await storage.snapshotter(scope).list()
    }

    public func usage(_ key: String, scope: StorageScope) async throws -> SnapshotUsage {
        try await storage.snapshotter(scope).usage(key)
    }

    /// Removes what nothing refers to, now.
    public func cleanUp() async throws {
        try await storage.collector.collect()
    }

    private func kindName(_ scope: StorageScope) -> String { (scope.snapshotter ?? storage.snapshotterKind).rawValue }

    private func publish(_ payload: StorageEvent.Payload, _ scope: StorageScope) {
        storage.events.publish(StorageEvent(namespace: scope.namespace, payload))
    }

    private static func validate(_ key: String) throws {
        guard !key.isEmpty, key.utf8.count <= 1024, !key.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw BerthError.invalid(
                field: "snapshot key", value: key.prefix(100),
                rule: "must be 1 to 1024 bytes without control characters")
        }
    }
}
