internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

/// The content service. Reading and writing have files of their own.
struct ContentServer: Containerd_Services_Content_V1_Content.SimpleServiceProtocol {
    let content: ContentService

    func info(
        request: Containerd_Services_Content_V1_InfoRequest, context: ServerContext
    ) async throws -> Containerd_Services_Content_V1_InfoResponse {
        let scope = try CallHeaders.scope()
        var response = Containerd_Services_Content_V1_InfoResponse()
        response.info = Self.message(try await content.info(Digest(request.digest), namespace: scope.namespace))
        return response
    }

    func update(
        request: Containerd_Services_Content_V1_UpdateRequest, context: ServerContext
    ) async throws -> Containerd_Services_Content_V1_UpdateResponse {
        let scope = try CallHeaders.scope()
        let change = try LabelUpdate(mask: request.updateMask.paths, labels: request.info.labels, kind: "content")
        let info = try await content.update(
            Digest(request.info.digest), labels: change.labels, replacingAll: change.replacesAll,
            namespace: scope.namespace)
        var response = Containerd_Services_Content_V1_UpdateResponse()
        response.info = Self.message(info)
        return response
    }

    func delete(
        request: Containerd_Services_Content_V1_DeleteContentRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try await content.delete(Digest(request.digest), namespace: CallHeaders.scope().namespace)
        return Google_Protobuf_Empty()
    }

    func status(
        request: Containerd_Services_Content_V1_StatusRequest, context: ServerContext
    ) async throws -> Containerd_Services_Content_V1_StatusResponse {
        let scope = try CallHeaders.scope()
        var response = Containerd_Services_Content_V1_StatusResponse()
        response.status = Self.message(try await content.status(request.ref, namespace: scope.namespace))
        return response
    }

    func listStatuses(
        request: Containerd_Services_Content_V1_ListStatusesRequest, context: ServerContext
    ) async throws -> Containerd_Services_Content_V1_ListStatusesResponse {
        let scope = try CallHeaders.scope()
        let filter = try FilterSet(request.filters)
        var response = Containerd_Services_Content_V1_ListStatusesResponse()
        response.statuses = try content.ingests(namespace: scope.namespace)
            .filter { ingest in filter.matches { $0 == ["ref"] ? ingest.reference : nil } }
            .map(Self.message)
        return response
    }

    func abort(
        request: Containerd_Services_Content_V1_AbortRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try await content.abort(request.ref, namespace: CallHeaders.scope().namespace)
        return Google_Protobuf_Empty()
    }

    static func message(_ info: ContentService.Info) -> Containerd_Services_Content_V1_Info {
        var message = Containerd_Services_Content_V1_Info()
        message.digest = info.digest.description
        message.size = info.size
        message.createdAt = Google_Protobuf_Timestamp(nanoseconds: info.createdAt)
        message.updatedAt = Google_Protobuf_Timestamp(nanoseconds: info.updatedAt)
        message.labels = info.labels
        return message
    }

    static func message(_ ingest: ContentService.Ingest) -> Containerd_Services_Content_V1_Status {
        var message = Containerd_Services_Content_V1_Status()
        message.ref = ingest.reference
        message.offset = ingest.offset
        message.total = ingest.total
        message.startedAt = Google_Protobuf_Timestamp(nanoseconds: ingest.startedAt)
        message.updatedAt = Google_Protobuf_Timestamp(nanoseconds: ingest.updatedAt)
        return message
    }
}
