internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

struct LeaseServer: Containerd_Services_Leases_V1_Leases.SimpleServiceProtocol {
    let leases: LeaseService

    func create(
        request: Containerd_Services_Leases_V1_CreateRequest, context: ServerContext
    ) async throws -> Containerd_Services_Leases_V1_CreateResponse {
        let scope = try CallHeaders.scope()
        var response = Containerd_Services_Leases_V1_CreateResponse()
        response.lease = Self.message(
            try await leases.create(request.id, labels: request.labels, namespace: scope.namespace))
        return response
    }

    func delete(
        request: Containerd_Services_Leases_V1_DeleteRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try await leases.delete(
            request.id, namespace: CallHeaders.scope().namespace, waitForCollection: request.sync)
        return Google_Protobuf_Empty()
    }

    func list(
        request: Containerd_Services_Leases_V1_ListRequest, context: ServerContext
    ) async throws -> Containerd_Services_Leases_V1_ListResponse {
        let scope = try CallHeaders.scope()
        let filter = try FilterSet(request.filters)
        var response = Containerd_Services_Leases_V1_ListResponse()
        response.leases = try await leases.list(namespace: scope.namespace).filter { lease in
            filter.matches { path in
                switch path.first {
                case "id": lease.id
                case "labels": labelField(lease.labels, path.dropFirst())
                default: nil
                }
            }
        }.map(Self.message)
        return response
    }

    private static func message(_ lease: Lease) -> Containerd_Services_Leases_V1_Lease {
        var message = Containerd_Services_Leases_V1_Lease()
        message.id = lease.id
        message.labels = lease.labels
        message.createdAt = Google_Protobuf_Timestamp(nanoseconds: lease.createdAt)
        return message
    }
}
