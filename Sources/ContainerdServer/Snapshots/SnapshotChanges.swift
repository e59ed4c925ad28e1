internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

extension SnapshotServer {
    func prepare(
        request: Containerd_Services_Snapshots_V1_PrepareSnapshotRequest, context: ServerContext
    ) async throws -> Containerd_Services_Snapshots_V1_PrepareSnapshotResponse {
        let scope = try scope(snapshotter: request.snapshotter)
        let mounts = try await snapshots.prepare(
            request.key, parent: request.parent.isEmpty ? nil : request.parent, labels: request.labels, scope: scope)
        var response = Containerd_Services_Snapshots_V1_PrepareSnapshotResponse()
        response.mounts = [Containerd_Types_Mount(mounts.typeSourceOptions)]
        return response
    }

    func view(
        request: Containerd_Services_Snapshots_V1_ViewSnapshotRequest, context: ServerContext
    ) async throws -> Containerd_Services_Snapshots_V1_ViewSnapshotResponse {
        let scope = try scope(snapshotter: request.snapshotter)
        let mounts = try await snapshots.view(
            request.key, parent: request.parent.isEmpty ? nil : request.parent, labels: request.labels, scope: scope)
        var response = Containerd_Services_Snapshots_V1_ViewSnapshotResponse()
        response.mounts = [Containerd_Types_Mount(mounts.typeSourceOptions)]
        return response
    }

    func commit(
        request: Containerd_Services_Snapshots_V1_CommitSnapshotRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        let scope = try scope(snapshotter: request.snapshotter)
        // A parent of its own would be a rebase, which only snapshotters that say so can do.
        guard request.parent.isEmpty else {
            throw BerthError(.unimplemented, "commit of \"\(request.key)\" onto another parent is not supported")
        }
        try await snapshots.commit(request.key, as: request.name, labels: request.labels, scope: scope)
        return Google_Protobuf_Empty()
    }

    func remove(
        request: Containerd_Services_Snapshots_V1_RemoveSnapshotRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try await snapshots.remove(request.key, scope: scope(snapshotter: request.snapshotter))
        return Google_Protobuf_Empty()
    }

    func update(
        request: Containerd_Services_Snapshots_V1_UpdateSnapshotRequest, context: ServerContext
    ) async throws -> Containerd_Services_Snapshots_V1_UpdateSnapshotResponse {
        let scope = try scope(snapshotter: request.snapshotter)
        let change = try LabelUpdate(mask: request.updateMask.paths, labels: request.info.labels, kind: "a snapshot")
        let info = try await snapshots.update(
            request.info.name, labels: change.labels, replacingAll: change.replacesAll, scope: scope)
        var response = Containerd_Services_Snapshots_V1_UpdateSnapshotResponse()
        response.info = Self.message(info)
        return response
    }

    func cleanup(
        request: Containerd_Services_Snapshots_V1_CleanupRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        _ = try scope(snapshotter: request.snapshotter)
        try await snapshots.cleanUp()
        return Google_Protobuf_Empty()
    }
}
