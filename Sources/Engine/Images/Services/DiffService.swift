internal import Core
internal import Images
public import OCISpec
internal import Store
internal import SystemPackage

/// Layers into snapshots, and what snapshots changed into layers.
public struct DiffService: Sendable {
    /// A mount as clients of the containerd API send it.
    public typealias ClientMount = (type: String, source: String, options: [String])

    let storage: ImageStorage

    /// Unpacks the layer `diff` into the active snapshot that `mounts` describes.
    ///
    /// The mounts only tell which snapshot is meant: nothing is mounted, and no other directory is ever written to.
    ///
    /// - Returns: the uncompressed layer: its digest is the diffID.
    public func apply(_ diff: Descriptor, to mounts: [ClientMount], scope: StorageScope) async throws -> Descriptor {
        guard diff.mediaType.isLayer else {
            throw BerthError.invalid(field: "diff.media_type", value: diff.mediaType, rule: "is not a filesystem layer")
        }
        guard let record = try await storage.database.read({ try $0.content(diff.digest, namespace: scope.namespace) })
        else { throw BerthError.notFound("content", "\(diff.digest)") }
        guard record.size == diff.size || diff.size == 0 else {
            throw BerthError.invalid(
                field: "diff.size", value: diff.size, rule: "is not the size of \(diff.digest), \(record.size)")
        }
        let snapshot = try await activeSnapshot(of: mounts, scope: scope)
        var scope = scope
        scope.snapshotter = SnapshotterKind(rawValue: snapshot.snapshotter)
        let snapshotter = try storage.snapshotter(scope)
        let blob = try storage.blobs.open(diff.digest)
        let unpacked: UnpackedLayer
        switch snapshotter.layerForm {
        case .changes:
            unpacked = try await LayerUnpacker().unpack(
                blob, mediaType: diff.mediaType, into: tree(of: snapshot), lower: layers(below: snapshot, snapshotter))
        case .whole:
            unpacked = try await LayerUnpacker().unpackInPlace(
                .blob(blob), mediaType: diff.mediaType, into: tree(of: snapshot))
        }
        return Descriptor(mediaType: .layer, digest: unpacked.diffID, size: unpacked.tarSize)
    }

    /// Writes what makes `right` of `left` as a layer into the content store.
    ///
    /// What a snapshot changed over its own parent is in its directory; any other two are compared file by file.
    ///
    /// - Parameters:
    ///   - left: the mounts of a snapshot, often of the other's parent. No mounts stand for nothing.
    ///   - right: the mounts of a snapshot, or of a view of it if it is committed.
    ///   - mediaType: of the layer; gzip where it is empty.
    public func create(
        from left: [ClientMount], to right: [ClientMount], mediaType: String, labels: [String: String],
        scope: StorageScope
    ) async throws -> Descriptor {
        let type = mediaType.isEmpty ? MediaType.layerGzip : MediaType(rawValue: mediaType)
        guard type.isLayer else {
            throw BerthError.invalid(field: "media_type", value: mediaType, rule: "is not a filesystem layer")
        }
        let below = left.isEmpty ? [] : try await directories(of: left, field: "left", scope: scope)
        let above = try await directories(of: right, field: "right", scope: scope)
        let changes = try await changes(from: below, to: above, scope: scope)
        return try await storage.gate.withOperation {
            let layer: CreatedLayer
            let diff = LayerDiff(content: storage.blobs)
            switch changes {
            case .ofDirectory(let tree): layer = try await diff.create(from: tree, mediaType: type)
            case .between(let left, let right): layer = try await diff.create(from: left, to: right, mediaType: type)
            }
            let merged = labels.merging(["containerd.io/uncompressed": "\(layer.diffID)"]) { $1 }
            try await storage.database.write { transaction in
                let now = WallClock.now()
                let digest = layer.descriptor.digest
                var record =
                    try transaction.content(digest, namespace: scope.namespace)
                    ?? ContentRecord(
                        namespace: scope.namespace, digest: digest, size: layer.descriptor.size, createdAt: now,
                        updatedAt: now)
                record.labels.merge(merged) { $1 }
                record.updatedAt = now
                try transaction.put(record)
                try transaction.hold(digest.description, type: LeaseResource.content, in: scope)
            }
            return layer.descriptor
        }
    }

    private enum Changes {
        case ofDirectory(FilePath)
        case between([FilePath], [FilePath])
    }

    private func changes(
        from below: [SnapshotRecord], to above: [SnapshotRecord], scope: StorageScope
    ) async throws -> Changes {
        guard let top = above.first else {
            throw BerthError.invalid(field: "right", value: "", rule: "must be the mounts of a snapshot")
        }
        // Layers kept as images may not be mounted yet.
        for record in below + above where record.kind == .committed {
            var scope = scope
            scope.snapshotter = SnapshotterKind(rawValue: record.snapshotter)
            _ = try await storage.snapshotter(scope).layerDirectories(record.key)
        }
        // A view of nothing has one directory of its own, which stays empty.
        let isOverNothing = below.isEmpty || below.count == 1 && below[0].kind == .view && below[0].parent == nil
        let isWhole = top.snapshotter == SnapshotterKind.native.rawValue
        if above.dropFirst().map(\.id) == (isOverNothing ? [] : below.map(\.id)), isOverNothing || !isWhole {
            return .ofDirectory(tree(of: top))
        }
        let nothing = try storage.emptyDirectory()
        return .between(below.isEmpty ? [nothing] : below.map(tree), above.map(tree))
    }

    /// The snapshots whose trees `mounts` puts over each other, the topmost first.
    private func directories(
        of mounts: [ClientMount], field: String, scope: StorageScope
    ) async throws -> [SnapshotRecord] {
        guard mounts.count == 1, let mount = mounts.first else {
            throw BerthError.invalid(field: field, value: mounts.count, rule: "must be the one mount of a snapshot")
        }
        var paths: [String] = []
        if mount.type == "overlay" {
            paths += mount.options.compactMap { $0.dropping(prefix: "upperdir=") }
            for lower in mount.options.compactMap({ $0.dropping(prefix: "lowerdir=") }) {
                paths += lower.split(separator: ":").map(String.init)
            }
        } else {
            paths = [mount.source]
        }
        var records: [SnapshotRecord] = []
        for path in paths {
            guard let record = try await snapshot(at: path, scope: scope) else {
                throw BerthError.invalid(
                    field: field, value: path, rule: "is not a directory of a snapshot of this namespace")
            }
            records.append(record)
        }
        return records
    }

    private func tree(of snapshot: SnapshotRecord) -> FilePath {
        storage.directories.tree(snapshot.id)
    }

    /// The snapshot of the namespace whose tree is `path`.
    private func snapshot(at path: String, scope: StorageScope) async throws -> SnapshotRecord? {
        let path = FilePath(path).lexicallyNormalized()
        let directory = path.removingLastComponent()
        guard path.lastComponent?.string == "fs",
            directory.removingLastComponent() == storage.root.appending("snapshots").lexicallyNormalized(),
            let id = directory.lastComponent.flatMap({ Int64($0.string) }),
            let record = try await storage.database.read({ try $0.snapshot(id: id) }),
            record.namespace == scope.namespace
        else { return nil }
        return record
    }

    private func layers(below snapshot: SnapshotRecord, _ snapshotter: any Snapshotter) async throws -> [FilePath] {
        guard let parent = snapshot.parent else { return [] }
        return try await snapshotter.layerDirectories(parent)
    }

    /// The snapshot whose writable directory `mounts` names.
    private func activeSnapshot(of mounts: [ClientMount], scope: StorageScope) async throws -> SnapshotRecord {
        guard mounts.count == 1, let mount = mounts.first else {
            throw BerthError.invalid(
                field: "mounts", value: mounts.count, rule: "must be the one mount of an active snapshot")
        }
        let writable: String
        switch mount.type {
        case "overlay":
            guard let upper = mount.options.lazy.compactMap({ $0.dropping(prefix: "upperdir=") }).first else {
                throw BerthError.invalid(
                    field: "mounts[0].options", value: mount.options.joined(separator: ","), rule: "have no upperdir")
            }
            writable = upper
        case "bind":
            guard !mount.options.contains("ro") else {
                throw BerthError.invalid(field: "mounts[0].options", value: "ro", rule: "is a read-only mount")
            }
            writable = mount.source
        default:
            throw BerthError.invalid(field: "mounts[0].type", value: mount.type, rule: "must be overlay or bind")
        }
        guard let record = try await snapshot(at: writable, scope: scope) else {
            throw BerthError.invalid(
                field: "mounts[0]", value: writable,
                rule: "is not the writable directory of a snapshot of this namespace")
        }
        guard record.kind == .active else {
            throw BerthError(
                .failedPrecondition, "snapshot \"\(record.key)\" is \(record.kind.rawValue) and not active")
        }
        return record
    }
}
