internal import Core
internal import Images
internal import Logging
internal import Store
private import Synchronization
internal import SystemPackage

/// Mark and sweep of content and snapshots (rules: ``GarbageGraph``).
///
/// Marking and removing rows is one transaction, so that nothing can come to refer to what is being removed. Bytes
/// follow: a snapshot's row first becomes a tombstone that nobody can find, then its directory goes, then the row;
/// a blob goes once no namespace has a record of it and no operation in flight may rely on it.
/// Whatever a crash leaves between these steps is finished by ``sweepLeftovers()`` at the next start.
actor GarbageCollector {
    struct Report: Sendable, Equatable {
        var images = 0
        var blobs = 0
        var snapshots = 0
        var leases = 0
    }

    private let database: Database
    private let blobs: ContentStore
    private let gate: InFlightGate
    private let events: EventBus
    private let snapshots: SnapshotDirectories
    private let logger: Logger
    /// Blobs that lost their last record and wait for a moment without operations in flight.
    private var condemned: Set<Digest> = []
    private var scheduled: Task<Void, Never>?
    private nonisolated let stopped = Mutex(false)
    /// Root filesystems that were prepared and whose container may not have its record yet.
    private nonisolated let pinned = Mutex<Set<String>>([])
    private let oneAtATime = KeyedLock<String>()

    init(
        database: Database, blobs: ContentStore, gate: InFlightGate, events: EventBus,
        snapshots: SnapshotDirectories,
        logger: Logger
    ) {
        self.database = database
        self.blobs = blobs
        self.gate = gate
        self.events = events
        self.snapshots = snapshots
        self.logger = logger
    }

    nonisolated func pin(_ containerID: String) {
        pinned.withLock { _ = $0.insert(containerID) }
    }

    nonisolated func unpin(_ containerID: String) {
        pinned.withLock { _ = $0.remove(containerID) }
    }

    /// Collects soon; several requests in a short time make one collection.
    nonisolated func schedule() {
        Task { await scheduleOnce() }
    }

    /// Collects no more by itself.
    nonisolated func stop() {
        stopped.withLock { $0 = true }
    }

    /// Waits for the collection that is under way, if there is one.
    func settle() async {
        try? await oneAtATime.withLock("collect") {}
    }

    private var isStopped: Bool { stopped.withLock { $0 } }

    private func scheduleOnce() {
        guard scheduled == nil, !isStopped else { return }
        scheduled = Task {
            try? await Task.sleep(for: .milliseconds(200))
            scheduled = nil
            guard !isStopped else { return }
            do {
                try await collect()
            } catch {
                logger.error("garbage collection failed", metadata: ["error": "\(error)"])
            }
        }
    }

    @discardableResult
    func collect() async throws -> Report {
        try await oneAtATime.withLock("collect") {
            let pinned = pinned.withLock { $0 }
            let (garbage, losers) = try await database.write(.keeping) { transaction in
                let garbage = GarbageGraph(try Self.input(transaction, pinned: pinned)).garbage()
                return (garbage, try Self.removeRows(of: garbage, transaction))
            }
            try Failpoint.reach("gc.rows")
            condemned.formUnion(losers)
            publish(garbage)
            try await removeTombstones()
            try await condemnUnknown(olderThan: Self.hour)
            try await abortStaleIngests(ownOlderThan: Self.day)
            let report = Report(
                images: garbage.images.count, blobs: losers.count, snapshots: garbage.snapshots.count,
                leases: garbage.leases.count)
            if !garbage.isEmpty {
                logger.debug(
                    "collected garbage",
                    metadata: [
                        "blobs": "\(report.blobs)", "snapshots": "\(report.snapshots)", "leases": "\(report.leases)",
                    ])
            }
            return report
        }
    }

    private static func input(_ transaction: ReadTransaction, pinned: Set<String>) throws -> GarbageInput {
        var input = GarbageInput(now: WallClock.now())
        input.images = try transaction.images(namespace: nil)
        input.contents = try transaction.contents(namespace: nil)
        input.snapshots = try transaction.snapshots(namespace: nil).filter { !$0.isTombstone }
        input.leases = try transaction.leases(namespace: nil)
        input.leaseResources = try input.leases.flatMap {
            try transaction.resources(ofLease: $0.id, namespace: $0.namespace)
        }
        input.containerSnapshots = Set(try transaction.containers().map(\.id)).union(pinned)
        return input
    }

    /// - Returns: the blobs that no namespace has a record of any more.
    private static func removeRows(of garbage: Garbage, _ transaction: WriteTransaction) throws -> Set<Digest> {
        for image in garbage.images { try transaction.deleteImage(image.name, namespace: image.namespace) }
        for lease in garbage.leases { try transaction.deleteLease(lease.id, namespace: lease.namespace) }
        var losers: Set<Digest> = []
        for content in garbage.contents {
            try transaction.deleteContent(content.digest, namespace: content.namespace)
            if try !transaction.isContentKnown(content.digest) { losers.insert(content.digest) }
        }
        for snapshot in garbage.snapshots { try transaction.bury(snapshot) }
        return losers
    }

    private func publish(_ garbage: Garbage) {
        for image in garbage.images {
            events.publish(StorageEvent(namespace: image.namespace, .imageDelete(name: image.name)))
        }
        for content in garbage.contents {
            events.publish(StorageEvent(namespace: content.namespace, .contentDelete(digest: content.digest)))
        }
        for snapshot in garbage.snapshots {
            events.publish(
                StorageEvent(
                    namespace: snapshot.namespace,
                    .snapshotRemove(key: snapshot.key, snapshotter: snapshot.snapshotter)))
        }
    }

    /// The directory first, then the row: what cannot be removed now is tried again with each collection.
    private func removeTombstones() async throws {
        let tombstones = try await database.read { try $0.snapshots(namespace: nil).filter(\.isTombstone) }
        for tombstone in tombstones {
            do {
                try await snapshots.discard(tombstone.id)
                try Failpoint.reach("gc.snapshot.discarded")
                _ = try await database.write(durability: .processDeath, .keeping) {
                    try $0.deleteSnapshot(id: tombstone.id)
                }
            } catch {
                // One directory that cannot be removed now must not keep the others.
                logger.warning(
                    "could not remove a snapshot's directory",
                    metadata: ["directory": "\(snapshots.root)/\(tombstone.id)", "error": "\(error)"])
            }
        }
    }

    /// Deletes the bytes of a blob whose record was removed, unless another namespace has it, as soon as that is safe.
    func condemn(_ digest: Digest) async {
        condemned.insert(digest)
        await deleteCondemned()
    }

    /// Deletes blobs that no namespace has a record of: what a failed pull or import left.
    ///
    /// - Parameter olderThan: seconds; the next try of a failed pull goes on from what is younger.
    /// - Returns: how many there were.
    @discardableResult
    func condemnUnknown(olderThan age: Int64) async throws -> Int {
        let limit = WallClock.now() - age * 1_000_000_000
        let known = try await database.read { Set(try $0.contents(namespace: nil).map(\.digest)) }
        let unknown = try blobs.list().filter { $0.created <= limit && !known.contains($0.digest) }
        condemned.formUnion(unknown.map(\.digest))
        await deleteCondemned()
        return unknown.count
    }

    /// Throws away writes that nobody went on with: those of clients after a day unless a lease holds them, and the
    /// daemon's own.
    private func abortStaleIngests(ownOlderThan age: Int64) async throws {
        let held = try await database.read { transaction in
            var held: Set<String> = []
            for lease in try transaction.leases(namespace: nil) {
                for resource in try transaction.resources(ofLease: lease.id, namespace: lease.namespace)
                where resource.type == LeaseResource.ingests {
                    held.insert(ContentService.storageReference(resource.id, namespace: lease.namespace))
                }
            }
            return held
        }
        let now = WallClock.now()
        for ingest in try blobs.ingests() {
            let isClients = ContentService.isClientReference(ingest.reference)
            let limit = now - (isClients ? Self.day : age) * 1_000_000_000
            guard ingest.updated <= limit, !held.contains(ingest.reference) else { continue }
            try? blobs.abortIngest(ingest.reference)
        }
    }

    private static let hour: Int64 = 3600
    private static let day: Int64 = 24 * hour

    private func deleteCondemned() async {
        guard !condemned.isEmpty else { return }
        let candidates = condemned
        await gate.deleteAlone {
            for digest in candidates {
                do {
                    let isKnown = try await database.read { try $0.isContentKnown(digest) }
                    if !isKnown { try blobs.delete(digest) }
                    try Failpoint.reach("gc.blob.deleted")
                    condemned.remove(digest)
                } catch let error as BerthError where error.code == .notFound {
                    condemned.remove(digest)
                } catch {
                    logger.warning("could not delete a blob", metadata: ["digest": "\(digest)", "error": "\(error)"])
                }
            }
        } later: { [weak self] in
            self?.schedule()
        }
    }

    /// Finishes what a killed daemon left: its leases, root filesystems of containers that have no record, blobs and
    /// directories that no row owns, and writes that nobody has continued for a day. Only before anything else runs.
    func sweepLeftovers() async throws -> Report {
        let containers = try await database.write(.keeping) { transaction in
            for lease in try transaction.leases(namespace: nil) where lease.labels[LeaseService.ownerLabel] != nil {
                try transaction.deleteLease(lease.id, namespace: lease.namespace)
            }
            return Set(try transaction.containers().map(\.id))
        }
        logger.debug("sweeping what is left of earlier runs", metadata: ["containers": "\(containers.count)"])
        var report = try await collect()

        report.blobs += try await condemnUnknown(olderThan: 0)
        try await abortStaleIngests(ownOlderThan: 0)
        let known = try await database.read { try $0.snapshots(namespace: nil).map(\.id) }
        report.snapshots += try await snapshots.removeStrangers(known: Set(known))
        return report
    }
}
