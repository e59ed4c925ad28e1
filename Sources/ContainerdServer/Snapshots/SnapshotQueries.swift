internal import ContainerdAPI
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

extension SnapshotServer {
    private static let batch = 100

    func mounts(
        request: Containerd_Services_Snapshots_V1_MountsRequest, context: ServerContext
    ) async throws -> Containerd_Services_Snapshots_V1_MountsResponse {
        let scope = try scope(snapshotter: request.snapshotter)
        var response = Containerd_Services_Snapshots_V1_MountsResponse()
        let mounts = try await snapshots.mounts(request.key, scope: scope)
        response.mounts = [Containerd_Types_Mount(mounts.typeSourceOptions)]
        return response
    }

    func stat(
        request: Containerd_Services_Snapshots_V1_StatSnapshotRequest, context: ServerContext
    ) async throws -> Containerd_Services_Snapshots_V1_StatSnapshotResponse {
        let scope = try scope(snapshotter: request.snapshotter)
        var response = Containerd_Services_Snapshots_V1_StatSnapshotResponse()
        response.info = Self.message(try await snapshots.info(request.key, scope: scope))
        return response
    }

    func list(
        request: Containerd_Services_Snapshots_V1_ListSnapshotsRequest,
        response: RPCWriter<Containerd_Services_Snapshots_V1_ListSnapshotsResponse>, context: ServerContext
    ) async throws {
        let scope = try scope(snapshotter: request.snapshotter)
        let filter = try FilterSet(request.filters)
        var message = Containerd_Services_Snapshots_V1_ListSnapshotsResponse()
        for info in try await snapshots.list(scope: scope) {
            let entry = Self.message(info)
            guard filter.matches({ Self.field(of: entry, $0) }) else { continue }
            message.info.append(entry)
            if message.info.count == Self.batch {
                try await response.write(message)
                message.info = []
            }
        }
        if !message.info.isEmpty { try await response.write(message) }
    }

    func usage(
        request: Containerd_Services_Snapshots_V1_UsageRequest, context: ServerContext
    ) async throws -> Containerd_Services_Snapshots_V1_UsageResponse {
        let scope = try scope(snapshotter: request.snapshotter)
        let usage = try await snapshots.usage(request.key, scope: scope)
        var response = Containerd_Services_Snapshots_V1_UsageResponse()
        response.size = usage.bytes
        response.inodes = usage.inodes
        return response
    }

    private static func field(of info: Containerd_Services_Snapshots_V1_Info, _ path: [String]) -> String? {
        switch path.first {
        case "name": info.name
        case "parent": info.parent
        case "kind":
            switch info.kind {
            case .active: "active"
            case .view: "view"
            case .committed: "committed"
            case .unknown, .UNRECOGNIZED: nil
            }
        case "labels": labelField(info.labels, path.dropFirst())
        default: nil
        }
    }
}
