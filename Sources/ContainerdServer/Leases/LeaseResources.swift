internal import ContainerdAPI
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

extension LeaseServer {
    func addResource(
        request: Containerd_Services_Leases_V1_AddResourceRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try await leases.add(
            (type: request.resource.type, id: request.resource.id), to: request.id,
            namespace: CallHeaders.scope().namespace)
        return Google_Protobuf_Empty()
    }

    func deleteResource(
        request: Containerd_Services_Leases_V1_DeleteResourceRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try await leases.remove(
            (type: request.resource.type, id: request.resource.id), from: request.id,
            namespace: CallHeaders.scope().namespace)
        return Google_Protobuf_Empty()
    }

    func listResources(
        request: Containerd_Services_Leases_V1_ListResourcesRequest, context: ServerContext
    ) async throws -> Containerd_Services_Leases_V1_ListResourcesResponse {
        let scope = try CallHeaders.scope()
        var response = Containerd_Services_Leases_V1_ListResourcesResponse()
        response.resources = try await leases.resources(of: request.id, namespace: scope.namespace).map { resource in
            var message = Containerd_Services_Leases_V1_Resource()
            message.type = resource.type
            message.id = resource.id
            return message
        }
        return response
    }
}
