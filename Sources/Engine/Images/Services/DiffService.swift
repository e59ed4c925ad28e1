internal import Core
internal import Images
public import OCISpec
internal import Store
internal import SystemPackage

/// Layers into snapshots.
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
        let snapshotter = try storage.snapshotter(scope)
        let lower = try await layers(below: snapshot, snapshotter)
        let unpacked = try await LayerUnpacker().unpack(
            storage.blobs.open(diff.digest), mediaType: diff.mediaType,
            into: storage.root.appending("snapshots").appending("\(snapshot.id)").appending("fs"), lower: lower)
        return Descriptor(mediaType: .layer, digest: unpacked.diffID, size: unpacked.tarSize)
    }

    public func create(
        from left: [ClientMount], to right: [ClientMount], mediaType: String, labels: [String: String],
        scope: StorageScope
    ) async throws -> Descriptor {
        throw BerthError(
            .unimplemented, "making a layer of a snapshot's changes is not supported yet",
            advice: "build the layer with umoci or another builder and import the image")
    }

    private func layers(below snapshot: SnapshotRecord, _ snapshotter: OverlaySnapshotter) async throws -> [FilePath] {
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
        let path = FilePath(writable).lexicallyNormalized()
        let directory = path.removingLastComponent()
        guard path.lastComponent?.string == "fs",
            directory.removingLastComponent() == storage.root.appending("snapshots").lexicallyNormalized(),
            let id = directory.lastComponent.flatMap({ Int64($0.string) }),
            let record = try await storage.database.read({ try $0.snapshot(id: id) }),
            record.namespace == scope.namespace
        else {
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
