internal import Core
internal import Images
internal import LinuxKernel
internal import Logging
internal import Store
internal import SystemPackage

/// What all services of images share: the blobs, the rows that give them meaning, and what keeps the two in step.
final class ImageStorage: Sendable {
    static let snapshotterName = "overlayfs"

    let root: FilePath
    let database: Database
    let blobs: ContentStore
    let gate: InFlightGate
    let events: EventBus
    let collector: GarbageCollector
    let logger: Logger

    init(root: FilePath, database: Database, logger: Logger) throws {
        self.root = root
        self.database = database
        self.logger = logger
        blobs = try ContentStore(root: root.appending("content"))
        gate = InFlightGate()
        events = EventBus()
        collector = GarbageCollector(
            database: database, blobs: blobs, gate: gate, events: events, snapshots: root.appending("snapshots"),
            logger: logger)
        // Makes the directory; the snapshotters of the namespaces share it.
        _ = try Self.snapshotter(rows: AllSnapshotRows(database: database), directory: root.appending("snapshots"))
    }

    /// The snapshots of a namespace. What it touches is held by the lease of `scope`.
    func snapshotter(_ scope: StorageScope) throws -> OverlaySnapshotter {
        try Self.snapshotter(
            rows: SnapshotRows(database: database, scope: scope, snapshotter: Self.snapshotterName),
            directory: root.appending("snapshots"))
    }

    static func snapshotter(rows: any SnapshotMetadata, directory: FilePath) throws -> OverlaySnapshotter {
        try OverlaySnapshotter(root: directory, metadata: rows)
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
