internal import Core
internal import LinuxKernel
public import SystemPackage

/// Snapshots as whole copies, for hosts where overlayfs cannot be: each holds its parents' files too, and is used as it is.
///
/// Blocks are shared where the filesystem can (copy_file_range(2) on btrfs and XFS).
public struct NativeSnapshotter: Snapshotter {
    private let directories: SnapshotDirectories
    private let metadata: any SnapshotMetadata

    public var root: FilePath { directories.root }
    public var name: String { "native" }
    public var layerForm: LayerForm { .whole }

    /// - Parameter root: made if it does not exist.
    public init(root: FilePath, metadata: any SnapshotMetadata) throws {
        directories = try SnapshotDirectories(root: root)
        self.metadata = metadata
    }

    public func info(_ key: String) async throws -> SnapshotInfo { try await metadata.get(key) }

    public func list() async throws -> [SnapshotInfo] { try await metadata.list() }

    public func setLabels(_ labels: [String: String], of key: String) async throws -> SnapshotInfo {
        try await metadata.setLabels(labels, of: key, updated: WallClock.nanoseconds)
    }

    public func prepare(_ key: String, parent: String?, labels: [String: String]) async throws -> SnapshotMounts {
        try await create(.active, key, parent, labels)
    }

    public func view(_ key: String, parent: String?, labels: [String: String]) async throws -> SnapshotMounts {
        try await create(.view, key, parent, labels)
    }

    private func create(
        _ kind: SnapshotKind, _ key: String, _ parent: String?, _ labels: [String: String]
    ) async throws -> SnapshotMounts {
        var below: SnapshotInfo?
        if let parent {
            let info = try await metadata.get(parent)
            guard info.kind == .committed else {
                throw BerthError(.failedPrecondition, "parent snapshot \"\(parent)\" is not committed")
            }
            below = info
        }
        // A view shows its parent; only what is written to is copied.
        let source = kind == .active ? below.map { directories.tree($0.id) } : nil
        let staging = try await beginLayer(over: source)
        var directory = staging.directory
        do {
            let now = WallClock.nanoseconds
            let id = try await metadata.allocateID()
            try directories.place(directory, as: id)
            directory = directories.directory(id)
            let info = SnapshotInfo(
                id: id, key: key, parent: parent, kind: kind, labels: labels, created: now, updated: now)
            try await metadata.insert([info])
            return mounts(info, below)
        } catch {
            try? SnapshotDirectories.remove(directory)
            throw SnapshotDirectories.describe(error, "prepare snapshot \"\(key)\"")
        }
    }

    public func mounts(_ key: String) async throws -> SnapshotMounts {
        let chain = try await metadata.chain(of: key)
        guard let top = chain.first, top.kind != .committed else {
            throw BerthError(.failedPrecondition, "snapshot \"\(key)\" is committed and has no mounts of its own")
        }
        return mounts(top, chain.dropFirst().first)
    }

    private func mounts(_ top: SnapshotInfo, _ below: SnapshotInfo?) -> SnapshotMounts {
        if top.kind == .active { return .bind(source: directories.tree(top.id), readOnly: false) }
        return .bind(source: directories.tree(below?.id ?? top.id), readOnly: true)
    }

    public func commit(_ key: String, as name: String, labels: [String: String]) async throws {
        let info = try await metadata.get(key)
        guard info.kind == .active else {
            throw BerthError(
                .failedPrecondition, "snapshot \"\(key)\" is \(info.kind.rawValue) and cannot be committed")
        }
        let directories = directories
        let usage = try await BlockingWork.run {
            try directories.synchronize()
            return try TreeUsage.measure(directories.tree(info.id))
        }
        try await metadata.commit(key, as: name, usage: usage, labels: labels, updated: WallClock.nanoseconds)
    }

    public func remove(_ key: String) async throws {
        let info = try await metadata.retire(key)
        try await directories.discard(info.id)
        try await metadata.forget(info.id)
    }

    public func usage(_ key: String) async throws -> SnapshotUsage {
        let info = try await metadata.get(key)
        if let usage = info.usage { return usage }
        let tree = directories.tree(info.id)
        return try await BlockingWork.run { try TreeUsage.measure(tree) }
    }

    // MARK: Layers of images

    public func beginLayer(over below: FilePath?) async throws -> LayerStaging {
        let staging = try directories.stage()
        guard let below else { return staging }
        do {
            try await BlockingWork.run { try TreeCopy.copy(below, to: staging.tree) }
            return staging
        } catch {
            await abandonLayer(staging)
            throw SnapshotDirectories.describe(error, "copy \(below)")
        }
    }

    public func commitLayers(_ layers: [StagedLayer]) async throws {
        guard !layers.isEmpty else { return }
        let directories = directories
        let usages = try await BlockingWork.run {
            try directories.synchronize()
            return try layers.map { try TreeUsage.measure($0.staging.tree) }
        }
        try await directories.commit(Array(zip(layers, usages)), metadata)
    }

    public func abandonLayer(_ staging: LayerStaging) async {
        _ = try? await BlockingWork.run { try SnapshotDirectories.remove(staging.directory) }
    }

    /// The one tree that holds everything.
    public func layerDirectories(_ name: String) async throws -> [FilePath] {
        [directories.tree(try await metadata.get(name).id)]
    }

    public func removeOrphans() async throws -> Int {
        try await directories.removeStrangers(known: Set(metadata.list().map(\.id)))
    }
}
