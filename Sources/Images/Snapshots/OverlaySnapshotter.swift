internal import Core
internal import LinuxKernel
public import SystemPackage

/// Snapshots as overlayfs layers, which are kept as directories (whiteouts are 0:0 character devices) or as EROFS images.
public struct OverlaySnapshotter: Snapshotter {
    /// Layers of one snapshot: those of an overlay, one of which is an overlay of the lowest.
    static let layerLimit = 2 * OverlayMount.lowerLimit - 1

    private let directories: SnapshotDirectories
    private let metadata: any SnapshotMetadata
    private let layers: any LayerStorage

    public var root: FilePath { directories.root }
    public var name: String { layers.snapshotter }
    public var layerForm: LayerForm { .changes }

    /// - Parameter root: made if it does not exist.
    public init(root: FilePath, metadata: any SnapshotMetadata) throws {
        try self.init(root: root, metadata: metadata, layers: LayerDirectories())
    }

    init(root: FilePath, metadata: any SnapshotMetadata, layers: any LayerStorage) throws {
        directories = try SnapshotDirectories(root: root)
        self.metadata = metadata
        self.layers = layers
    }

    /// With each layer as one EROFS image.
    public static func erofs(root: FilePath, metadata: any SnapshotMetadata) throws -> OverlaySnapshotter {
        try OverlaySnapshotter(root: root, metadata: metadata, layers: LayerImages())
    }

    public func info(_ key: String) async throws -> SnapshotInfo { try await metadata.get(key) }

    public func list() async throws -> [SnapshotInfo] { try await metadata.list() }

    public func setLabels(_ labels: [String: String], of key: String) async throws -> SnapshotInfo {
        try await metadata.setLabels(labels, of: key, updated: WallClock.nanoseconds)
    }

    // MARK: Active snapshots and views

    public func prepare(_ key: String, parent: String?, labels: [String: String]) async throws -> SnapshotMounts {
        try await create(.active, key, parent, labels)
    }

    public func view(_ key: String, parent: String?, labels: [String: String]) async throws -> SnapshotMounts {
        try await create(.view, key, parent, labels)
    }

    private func create(
        _ kind: SnapshotKind, _ key: String, _ parent: String?, _ labels: [String: String]
    ) async throws -> SnapshotMounts {
        var chain: [SnapshotInfo] = []
        if let parent {
            chain = try await parentChain(parent)
        }
        let staging = try directories.stage()
        var directory = staging.directory
        do {
            if kind == .active { try EntryCalls.makeDirectory(directory.appending("work"), mode: 0o711) }
            // The root of an overlay has the owner and mode of its topmost layer.
            if let below = chain.first { try copyRootMetadata(from: directories.tree(below.id), to: staging.tree) }
            let now = WallClock.nanoseconds
            let id = try await metadata.allocateID()
            try directories.place(directory, as: id)
            directory = directories.directory(id)
            try Failpoint.reach("snapshot.prepare.placed")
            let info = SnapshotInfo(
                id: id, key: key, parent: parent, kind: kind, labels: labels, created: now, updated: now)
            try await metadata.insert([info])
            try Failpoint.reach("snapshot.prepare.recorded")
            return mounts([info] + chain)
        } catch {
            try? SnapshotDirectories.remove(directory)
            throw SnapshotDirectories.describe(error, "prepare snapshot \"\(key)\"")
        }
    }

    /// The layers from `parent` down, made visible.
    ///
    /// - Throws: `BerthError`: `notFound`; `failedPrecondition` if `parent` is not committed, or over more layers than overlayfs
    ///   takes.
    private func parentChain(_ parent: String) async throws -> [SnapshotInfo] {
        let chain = try await metadata.chain(of: parent)
        guard chain.first?.kind == .committed else {
            throw BerthError(.failedPrecondition, "parent snapshot \"\(parent)\" is not committed")
        }
        guard chain.count <= Self.layerLimit else {
            throw BerthError(
                .failedPrecondition,
                "snapshot \"\(parent)\" has \(chain.count) layers, and overlayfs takes at most \(Self.layerLimit)",
                advice: "set images.snapshotter to native")
        }
        try await open(chain[...])
        return chain
    }

    private func open(_ layers: ArraySlice<SnapshotInfo>) async throws {
        let (storage, paths) = (self.layers, layers.map { directories.directory($0.id) })
        let base = lowest(layers)
        guard storage.isOpened || base != nil else { return }
        try await BlockingWork.run {
            for path in paths { try storage.open(path) }
            if let base { try base.open() }
        }
    }

    /// Of more layers than an overlay takes, those that become one.
    private func lowest(_ layers: ArraySlice<SnapshotInfo>) -> JoinedLayers? {
        guard layers.count > OverlayMount.lowerLimit else { return nil }
        let base = layers.suffix(OverlayMount.lowerLimit)
        return base.first.map { top in
            JoinedLayers(directory: directories.directory(top.id), lower: base.map { directories.tree($0.id) })
        }
    }

    private func copyRootMetadata(from source: FilePath, to target: FilePath) throws {
        let status = try EntryCalls.status(source)
        let directory = try OwnedDescriptor.directory(target)
        defer { directory.close() }
        try EntryCalls.setOwner(directory.fd, owner: status.owner, group: status.group)
        try EntryCalls.setPermissions(directory.fd, status.permissions)
    }

    public func mounts(_ key: String) async throws -> SnapshotMounts {
        let chain = try await metadata.chain(of: key)
        guard let top = chain.first, top.kind != .committed else {
            throw BerthError(.failedPrecondition, "snapshot \"\(key)\" is committed and has no mounts of its own")
        }
        try await open(chain.dropFirst())
        return mounts(chain)
    }

    private func mounts(_ chain: [SnapshotInfo]) -> SnapshotMounts {
        guard let top = chain.first else { return .bind(source: root, readOnly: true) }
        let layers = chain.dropFirst()
        var lower = layers.map { directories.tree($0.id).string }
        var joined: [String] = []
        if let base = lowest(layers) {
            joined = base.lower.map(\.string)
            lower.removeLast(joined.count)
            lower.append(base.target.string)
        }
        let tree = directories.tree(top.id)
        switch (top.kind, lower.count) {
        case (.active, 0): return .bind(source: tree, readOnly: false)
        case (.active, _):
            let work = directories.directory(top.id).appending("work").string
            return .overlay(OverlayMount(lower: lower, upper: tree.string, work: work, joined: joined))
        case (_, 0): return .bind(source: tree, readOnly: true)
        case (_, 1): return .bind(source: FilePath(lower[0]), readOnly: true)
        default: return .overlay(OverlayMount(lower: lower, joined: joined))
        }
    }

    public func commit(_ key: String, as name: String, labels: [String: String]) async throws {
        let info = try await metadata.get(key)
        guard info.kind == .active else {
            throw BerthError(
                .failedPrecondition, "snapshot \"\(key)\" is \(info.kind.rawValue) and cannot be committed")
        }
        let (directories, layers) = (directories, layers)
        let directory = directories.directory(info.id)
        let usage: SnapshotUsage
        do {
            usage = try await BlockingWork.run {
                try layers.seal(directory)
                try layers.protect(directory)
                try directories.synchronize()
                return try layers.usage(directory)
            }
        } catch {
            throw SnapshotDirectories.describe(error, "commit snapshot \"\(key)\"")
        }
        try Failpoint.reach("snapshot.commit.synced")
        try await metadata.commit(key, as: name, usage: usage, labels: labels, updated: WallClock.nanoseconds)
        try Failpoint.reach("snapshot.commit.recorded")
        try? EntryCalls.removeTree(directory.appending("work"))
        try? layers.tidy(directory)
    }

    public func remove(_ key: String) async throws {
        let info = try await metadata.retire(key)
        try Failpoint.reach("snapshot.remove.retired")
        try await directories.discard(info.id)
        try Failpoint.reach("snapshot.remove.discarded")
        try await metadata.forget(info.id)
    }

    public func usage(_ key: String) async throws -> SnapshotUsage {
        let info = try await metadata.get(key)
        if let usage = info.usage { return usage }
        // A view has nothing of its own but an empty directory.
        let tree = directories.tree(info.id)
        return try await BlockingWork.run { try TreeUsage.measure(tree) }
    }

    // MARK: Layers of images

    public func beginLayer(over below: FilePath?) async throws -> LayerStaging {
        let staging = try directories.stage()
        do {
            try Failpoint.reach("unpack.staged")
            return staging
        } catch {
            await abandonLayer(staging)
            throw error
        }
    }

    public func commitLayers(_ layers: [StagedLayer]) async throws {
        guard !layers.isEmpty else { return }
        let (directories, storage) = (directories, self.layers)
        // One wait for the disk for all layers together.
        try await BlockingWork.run {
            do {
                for layer in layers {
                    let directory = layer.staging.directory
                    if !layer.isSealed {
                        try storage.seal(directory)
                        // Before the disk is waited for: what is removed now need not be written.
                        try storage.tidy(directory)
                    }
                    try storage.protect(directory)
                }
                try Failpoint.reach("unpack.sealed")
                try directories.synchronize()
            } catch {
                throw SnapshotDirectories.describe(error, "commit \(layers.count) layers")
            }
        }
        try Failpoint.reach("unpack.synced")
        try await directories.commit(Array(zip(layers, measure(layers))), metadata)
    }

    /// What each of the layers occupies: of many small files this is a good part of the work, so a few threads share it.
    private func measure(_ layers: [StagedLayer]) async throws -> [SnapshotUsage] {
        let (storage, threads) = (self.layers, min(layers.count, 4))
        return try await withThrowingTaskGroup(of: [(index: Int, usage: SnapshotUsage)].self) { group in
            for first in 0..<threads {
                group.addTask {
                    try await BlockingWork.run {
                        try stride(from: first, to: layers.count, by: threads).map {
                            ($0, try storage.usage(layers[$0].staging.directory))
                        }
                    }
                }
            }
            var usages = [SnapshotUsage](repeating: SnapshotUsage(), count: layers.count)
            for try await part in group { for measured in part { usages[measured.index] = measured.usage } }
            return usages
        }
    }

    public func abandonLayer(_ staging: LayerStaging) async {
        _ = try? await BlockingWork.run { try SnapshotDirectories.remove(staging.directory) }
    }

    public func archiveImage(in staging: LayerStaging) -> FilePath? { layers.archiveImage(in: staging.directory) }

    public func showLayer(_ staging: LayerStaging) async throws {
        let (storage, directory) = (layers, staging.directory)
        try await BlockingWork.run { try storage.open(directory) }
    }

    public func layerDirectories(_ name: String) async throws -> [FilePath] {
        let chain = try await metadata.chain(of: name)
        try await open(chain[...])
        return chain.map { directories.tree($0.id) }
    }

    public func removeOrphans() async throws -> Int {
        try await directories.removeStrangers(known: Set(metadata.list().map(\.id)))
    }
}

extension SnapshotDirectories {
    /// Makes staged layers, which are durable but for their names, committed snapshots, parents first: with one wait for the disk for
    /// all names, and one for all rows.
    func commit(_ layers: [(StagedLayer, SnapshotUsage)], _ metadata: any SnapshotMetadata) async throws {
        var placed: [SnapshotInfo] = []
        do {
            for (layer, usage) in layers {
                if try await metadata.isCommitted(layer.name) {
                    _ = try? await BlockingWork.run { try Self.remove(layer.staging.directory) }
                    continue
                }
                let id = try await metadata.allocateID()
                try place(layer.staging.directory, as: id)
                let now = WallClock.nanoseconds
                placed.append(
                    SnapshotInfo(
                        id: id, key: layer.name, parent: layer.parent, kind: .committed, labels: layer.labels,
                        usage: usage, created: now, updated: now))
                try Failpoint.reach("unpack.placed")
            }
            guard !placed.isEmpty else { return }
            try synchronizeNames()
        } catch {
            for info in placed { try? Self.remove(directory(info.id)) }
            throw Self.describe(error, "commit \(layers.count) layers")
        }
        do {
            try await metadata.insert(placed)
        } catch {
            guard let known = error as? BerthError, known.code == .alreadyExists else {
                for info in placed { try? Self.remove(directory(info.id)) }
                throw error
            }
            try await record(placed, metadata)
        }
        try Failpoint.reach("unpack.recorded")
    }

    /// One row after the other, where somebody else was faster with the same layer, which is as good.
    private func record(_ placed: [SnapshotInfo], _ metadata: any SnapshotMetadata) async throws {
        var rest = placed[...]
        while let info = rest.first {
            do {
                try await metadata.insert([info])
            } catch let error as BerthError where error.code == .alreadyExists {
                try? Self.remove(directory(info.id))
            } catch {
                for info in rest { try? Self.remove(directory(info.id)) }
                throw error
            }
            rest = rest.dropFirst()
        }
    }
}

extension SnapshotMetadata {
    func isCommitted(_ name: String) async throws -> Bool {
        do {
            return try await get(name).kind == .committed
        } catch let error as BerthError where error.code == .notFound {
            return false
        }
    }
}
