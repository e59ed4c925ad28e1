internal import Core
internal import Images
internal import LinuxKernel
internal import Logging
internal import Store
internal import SystemPackage

/// What all services of images share: the blobs, the rows that give them meaning, and what keeps the two in step.
final class ImageStorage: Sendable {
    let root: FilePath
    let database: Database
    let blobs: ContentStore
    /// Of new snapshots, where nobody asks for another one.
    let snapshotterKind: SnapshotterKind
    let directories: SnapshotDirectories
    let snapshotNumbers: SnapshotNumbers
    let gate: InFlightGate
    let events: EventBus
    let collector: GarbageCollector
    let logger: Logger

    init(root: FilePath, database: Database, snapshotter: SnapshotterKind, logger: Logger) throws {
        self.root = root
        self.database = database
        self.logger = logger
        blobs = try ContentStore(root: root.appending("content"))
        snapshotterKind = snapshotter
        // The snapshotters of all namespaces share it; numbers are unique.
        directories = try SnapshotDirectories(root: root.appending("snapshots"))
        snapshotNumbers = SnapshotNumbers(database: database)
        gate = InFlightGate()
        events = EventBus()
        collector = GarbageCollector(
            database: database, blobs: blobs, gate: gate, events: events, snapshots: directories, logger: logger)
    }

    /// The snapshots of a namespace. What it touches is held by the lease of `scope`.
    func snapshotter(_ scope: StorageScope) throws -> any Snapshotter {
        let kind = scope.snapshotter ?? snapshotterKind
        return try kind.make(
            root: directories.root,
            metadata: SnapshotRows(
                database: database, scope: scope, snapshotter: kind.rawValue, numbers: snapshotNumbers))
    }

    /// The snapshotter that has `key`: the configured one, or that of an earlier configuration.
    func snapshotter(having key: String, _ scope: StorageScope) async throws -> any Snapshotter {
        let rows = try await database.read { try $0.snapshots(key: key, namespace: scope.namespace) }
        let kinds = rows.compactMap { SnapshotterKind(rawValue: $0.snapshotter) }
        var scope = scope
        if !kinds.contains(snapshotterKind) { scope.snapshotter = kinds.first }
        return try snapshotter(scope)
    }

    /// A directory that stays empty: the lower layer of images without layers.
    func emptyDirectory() throws -> FilePath {
        let path = root.appending("empty")
        do {
            try Syscall.mkdirat(path, mode: 0o755)
        } catch Errno.fileExists {}
        return path
    }
}
