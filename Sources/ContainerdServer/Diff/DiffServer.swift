internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

struct DiffServer: Containerd_Services_Diff_V1_Diff.SimpleServiceProtocol {
    let diff: DiffService

    /// Unpacks a layer into an active snapshot.
    func apply(
        request: Containerd_Services_Diff_V1_ApplyRequest, context: ServerContext
    ) async throws -> Containerd_Services_Diff_V1_ApplyResponse {
        let scope = try CallHeaders.scope()
        let applied = try await diff.apply(
            request.diff.decoded(field: "diff"), to: request.mounts.map { ($0.type, $0.source, $0.options) },
            scope: scope)
        var response = Containerd_Services_Diff_V1_ApplyResponse()
        response.applied = Containerd_Types_Descriptor(applied)
        return response
    }

    /// Writes the difference of two snapshots as a layer.
    func diff(
        request: Containerd_Services_Diff_V1_DiffRequest, context: ServerContext
    ) async throws -> Containerd_Services_Diff_V1_DiffResponse {
        let scope = try CallHeaders.scope()
        let layer = try await diff.create(
            from: request.left.map { ($0.type, $0.source, $0.options) },
            to: request.right.map { ($0.type, $0.source, $0.options) }, mediaType: request.mediaType,
            labels: request.labels, scope: scope)
        var response = Containerd_Services_Diff_V1_DiffResponse()
        response.diff = Containerd_Types_Descriptor(layer)
        return response
    }
}
