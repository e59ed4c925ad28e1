internal import Core
internal import LinuxKernel
public import SystemPackage

/// Snapshots as overlayfs layers.
///
///     ROOT/N/fs     the layer's tree, in overlayfs form (whiteouts are 0:0 character devices)
///     ROOT/N/work   overlayfs's work directory, of active snapshots only
///     ROOT/new-X/   being made; renamed to N when whole
///
/// A directory exists before its row and goes after it: a crash leaves directories without rows, which `removeOrphans`
/// finds, and never a row without its directory.
public struct OverlaySnapshotter: Snapshotter {
    public let root: FilePath
    private let metadata: any SnapshotMetadata

    public var name: String { "overlayfs" }

    /// - Parameter root: made if it does not exist.
    public init(root: FilePath, metadata: any SnapshotMetadata) throws {
        self.root = root
        self.metadata = metadata
        do {
            try Files.makeDirectories(root, mode: 0o700)
        } catch {
            throw BerthError(.internal, "make snapshot directory \(root)", cause: error)
        }
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
        let staging = try await beginLayer()
        var directory = staging.directory
        do {
            if kind == .active { try EntryCalls.makeDirectory(directory.appending("work"), mode: 0o711) }
            // The root of an overlay has the owner and mode of its topmost layer.
            if let below = chain.first { try copyRootMetadata(from: tree(below.id), to: staging.tree) }
            let now = WallClock.nanoseconds
            let id = try await metadata.allocateID()
            try rename(directory, to: id)
            directory = self.directory(id)
            let info = SnapshotInfo(
                id: id, key: key, parent: parent, kind: kind, labels: labels, created: now, updated: now)
            try await metadata.insert(info)
            return mounts([info] + chain)
        } catch {
            try? EntryCalls.removeTree(directory)
            throw Self.describe(error, "prepare snapshot \"\(key)\"")
        }
    }

    /// - Throws: `BerthError`: `notFound`; `failedPrecondition` if `parent` is not committed.
    private func parentChain(_ parent: String) async throws -> [SnapshotInfo] {
        let chain = try await metadata.chain(of: parent)
        guard chain.first?.kind == .committed else {
            throw BerthError(.failedPrecondition, "parent snapshot \"\(parent)\" is not committed")
        }
        return chain
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
        return mounts(chain)
    }

    private func mounts(_ chain: [SnapshotInfo]) -> SnapshotMounts {
        guard let top = chain.first else { return .bind(source: root, readOnly: true) }
        let lower = chain.dropFirst().map { tree($0.id).string }
        switch (top.kind, lower.count) {
        case (.active, 0): return .bind(source: tree(top.id), readOnly: false)
        case (.active, _):
            return .overlay(
                OverlayMount(
                    lower: lower, upper: tree(top.id).string, work: directory(top.id).appending("work").string))
        case (_, 0): return .bind(source: tree(top.id), readOnly: true)
        case (_, 1): return .bind(source: FilePath(lower[0]), readOnly: true)
        default: return .overlay(OverlayMount(lower: lower))
        }
    }

    public func commit(_ key: String, as name: String, labels: [String: String]) async throws {
        let info = try await metadata.get(key)
        guard info.kind == .active else {
            throw BerthError(
                .failedPrecondition, "snapshot \"\(key)\" is \(info.kind.rawValue) and cannot be committed")
        }
        let tree = tree(info.id)
        let usage = try await BlockingWork.run {
            let usage = try TreeUsage.measure(tree)
            try Self.synchronize(tree)
            return usage
        }
        try await metadata.commit(key, as: name, usage: usage, labels: labels, updated: WallClock.nanoseconds)
        try? EntryCalls.removeTree(directory(info.id).appending("work"))
    }

    public func remove(_ key: String) async throws {
        let info = try await metadata.remove(key)
        let directory = directory(info.id)
        try await BlockingWork.run {
            do {
                try EntryCalls.removeTree(directory)
            } catch {
                throw BerthError(.internal, "remove directory \(directory) of snapshot \"\(key)\"", cause: error)
            }
        }
    }

    public func usage(_ key: String) async throws -> SnapshotUsage {
        let info = try await metadata.get(key)
        if let usage = info.usage { return usage }
        // A view has nothing of its own but an empty directory.
        let tree = tree(info.id)
        return try await BlockingWork.run { try TreeUsage.measure(tree) }
    }

    // MARK: Layers of images

    public func beginLayer() async throws -> LayerStaging {
        let directory = root.appending("new-\(Identifier.random().prefix(24))")
        let tree = directory.appending("fs")
        do {
            try EntryCalls.makeDirectory(directory, mode: 0o700)
            try EntryCalls.makeDirectory(tree, mode: 0o755)
            let opened = try OwnedDescriptor.directory(tree)
            defer { opened.close() }
            // Whatever the umask.
            try EntryCalls.setPermissions(opened.fd, 0o755)
        } catch {
            try? EntryCalls.removeTree(directory)
            throw Self.describe(error, "make snapshot directory \(directory)")
        }
        return LayerStaging(tree: tree, directory: directory)
    }

    public func commitLayers(_ layers: [StagedLayer]) async throws {
        guard !layers.isEmpty else { return }
        let root = root
        // One wait for the disk for all layers together.
        try await BlockingWork.run { try Self.synchronize(root) }
        for layer in layers { try await commit(layer) }
    }

    private func commit(_ layer: StagedLayer) async throws {
        if try await isCommitted(layer.name) {
            await abandonLayer(layer.staging)
            return
        }
        let now = WallClock.nanoseconds
        let id = try await metadata.allocateID()
        do {
            try rename(layer.staging.directory, to: id)
            let opened = try OwnedDescriptor.directory(root)
            defer { opened.close() }
            try EntryCalls.synchronize(opened.fd)
        } catch {
            throw Self.describe(error, "commit layer \(layer.name)")
        }
        do {
            try await metadata.insert(
                SnapshotInfo(
                    id: id, key: layer.name, parent: layer.parent, kind: .committed, labels: layer.labels,
                    usage: layer.usage, created: now, updated: now))
        } catch {
            try? EntryCalls.removeTree(directory(id))
            // Somebody else was faster with the same layer, which is as good.
            if let known = error as? BerthError, known.code == .alreadyExists { return }
            throw error
        }
    }

    private func isCommitted(_ name: String) async throws -> Bool {
        do {
            return try await metadata.get(name).kind == .committed
        } catch let error as BerthError where error.code == .notFound {
            return false
        }
    }

    public func abandonLayer(_ staging: LayerStaging) async {
        _ = try? await BlockingWork.run { try EntryCalls.removeTree(staging.directory) }
    }

    public func layerDirectories(_ name: String) async throws -> [FilePath] {
        try await metadata.chain(of: name).map { tree($0.id) }
    }

    public func removeOrphans() async throws -> Int {
        let known = Set(try await metadata.list().map { "\($0.id)" })
        let orphans = try Files.list(root).filter { !known.contains($0) }
        let root = root
        try await BlockingWork.run {
            for name in orphans { try EntryCalls.removeTree(root.appending(name)) }
        }
        return orphans.count
    }

    // MARK: Layout

    private func directory(_ id: Int64) -> FilePath { root.appending("\(id)") }

    private func tree(_ id: Int64) -> FilePath { directory(id).appending("fs") }

    private func rename(_ directory: FilePath, to id: Int64) throws {
        let target = self.directory(id)
        do {
            try EntryCalls.rename(directory, to: target)
        } catch {
            guard error == .directoryNotEmpty || error == .fileExists else { throw error }
            // Left by a crash between the rename and the row: numbers are never given out twice.
            try EntryCalls.removeTree(target)
            try EntryCalls.rename(directory, to: target)
        }
    }

    private static func synchronize(_ path: FilePath) throws {
        let directory = try OwnedDescriptor.directory(path)
        defer { directory.close() }
        try EntryCalls.synchronizeFilesystem(directory.fd)
    }

    private static func describe(_ error: any Error, _ what: String) -> any Error {
        guard let error = error as? Errno else { return error }
        return BerthError(error == .noSpace ? .resourceExhausted : .internal, what, cause: error)
    }
}
