public import Core
internal import Images
internal import LinuxKernel
internal import Store
private import Synchronization

/// How full the disk of the images may become before those go that nothing uses, in percent.
public struct DiskThresholds: Sendable, Hashable {
    /// Beyond it images are removed ...
    public var high: Int
    /// ... until it is down to this.
    public var low: Int
    /// Nanoseconds that an image stays at least after it was pulled or used.
    public var age: Int64 = 120 * 1_000_000_000

    public init(high: Int, low: Int) {
        self.high = high
        self.low = low
    }

    /// - Throws: `BerthError` (`invalidArgument`) that names the key.
    public func validate() throws {
        guard (1...100).contains(high) else {
            throw BerthError.invalid(field: "reclaim_above", value: high, rule: "must be from 1 to 100, or 0 for never")
        }
        guard (0..<high).contains(low) else {
            throw BerthError.invalid(field: "reclaim_to", value: low, rule: "must be from 0 to less than reclaim_above")
        }
    }
}

/// When images were last used for a container, since the daemon began.
final class ImageUse: Sendable {
    private let times = Mutex<[Digest: Int64]>([:])

    func record(_ id: Digest) { times.withLock { $0[id] = WallClock.now() } }

    func last(_ id: Digest) -> Int64 { times.withLock { $0[id] ?? 0 } }

    func forget(allBut ids: Set<Digest>) { times.withLock { $0 = $0.filter { ids.contains($0.key) } } }
}

extension ImageService {
    /// Looks once a minute whether the disk is fuller than it should be, until the task is cancelled.
    public func reclaimAlways(_ thresholds: DiskThresholds) async throws {
        while true {
            try await Task.sleep(for: .seconds(60))
            do {
                try await reclaim(thresholds)
            } catch let error as BerthError {
                storage.logger.warning("could not make room on the disk of the images", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Removes images while the disk is too full: those that no snapshot is over and nobody has pinned, first the one that was not
    /// used for longest.
    ///
    /// - Returns: the IDs of those that went, in order.
    @discardableResult
    public func reclaim(_ thresholds: DiskThresholds) async throws -> [Digest] {
        guard try usedPercent() > thresholds.high else { return [] }
        var removed: [Digest] = []
        for candidate in try await candidates(thresholds) {
            guard try usedPercent() > thresholds.low else { break }
            try await remove("\(candidate.id)", namespace: candidate.namespace)
            removed.append(candidate.id)
            storage.logger.notice(
                "removed an image to make room", metadata: ["image": "\(candidate.id)", "name": "\(candidate.name)"])
        }
        let used = try usedPercent()
        if used > thresholds.high {
            storage.logger.warning(
                "the disk of the images stays too full: all others are in use, pinned or new",
                metadata: ["removed": "\(removed.count)", "used": "\(used)%"])
        }
        return removed
    }

    private func usedPercent() throws -> Int {
        let directory = try OwnedDescriptor.directory(storage.directories.root)
        defer { directory.close() }
        let room = try DiskRoom(of: directory.fd)
        return room.total > 0 ? Int(100 - room.available * 100 / room.total) : 0
    }

    private struct Candidate {
        var id: Digest
        var namespace: String
        var name: String
        var lastUsed: Int64
    }

    /// Those that may go, in the order in which they do.
    private func candidates(_ thresholds: DiskThresholds) async throws -> [Candidate] {
        let inUse = try await layersInUse()
        let youngest = WallClock.now() - thresholds.age
        var found: [Candidate] = []
        var known: Set<Digest> = []
        for namespace in try await namespaces.list().map(\.name) {
            let times = try await allNamed(namespace: namespace).reduce(into: [String: Int64]()) {
                $0[$1.name] = $1.updatedAt
            }
            for image in try await list(namespace: namespace) {
                known.insert(image.id)
                let names = image.tags + image.digests
                let chain = try Digest.chainIDs(image.config.rootfs.diffIDs).last
                let lastUsed = names.reduce(use.last(image.id)) { max($0, times[$1] ?? 0) }
                guard !image.isPinned, lastUsed <= youngest,
                    !inUse.contains("\(namespace) \(chain.map { "\($0)" } ?? "")")
                else { continue }
                found.append(
                    Candidate(id: image.id, namespace: namespace, name: names.first ?? "", lastUsed: lastUsed))
            }
        }
        use.forget(allBut: known)
        return found.sorted { ($0.lastUsed, $0.id.hex) < ($1.lastUsed, $1.id.hex) }
    }

    /// The committed snapshots below those of containers and clients, as `NAMESPACE KEY`.
    private func layersInUse() async throws -> Set<String> {
        let rows = try await storage.database.read { try $0.snapshots(namespace: nil).filter { !$0.isTombstone } }
        let parents = rows.reduce(into: [String: String]()) {
            $0["\($1.namespace) \($1.snapshotter) \($1.key)"] = $1.parent
        }
        var used: Set<String> = []
        for row in rows where row.kind != .committed {
            var next = row.parent
            while let key = next, used.insert("\(row.namespace) \(key)").inserted {
                next = parents["\(row.namespace) \(row.snapshotter) \(key)"]
            }
        }
        return used
    }
}
