internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

/// Namespaces are about themselves: none of these calls needs the namespace header.
struct NamespaceServer: Containerd_Services_Namespaces_V1_Namespaces.SimpleServiceProtocol {
    let namespaces: NamespaceService

    func get(
        request: Containerd_Services_Namespaces_V1_GetNamespaceRequest, context: ServerContext
    ) async throws -> Containerd_Services_Namespaces_V1_GetNamespaceResponse {
        var response = Containerd_Services_Namespaces_V1_GetNamespaceResponse()
        response.namespace = Self.message(request.name, try await namespaces.labels(of: request.name))
        return response
    }

    func list(
        request: Containerd_Services_Namespaces_V1_ListNamespacesRequest, context: ServerContext
    ) async throws -> Containerd_Services_Namespaces_V1_ListNamespacesResponse {
        let filter = try FilterSet(request.filter.isEmpty ? [] : [request.filter])
        var response = Containerd_Services_Namespaces_V1_ListNamespacesResponse()
        response.namespaces = try await namespaces.list().filter { namespace in
            filter.matches { path in
                switch path.first {
                case "name": namespace.name
                case "labels": labelField(namespace.labels, path.dropFirst())
                default: nil
                }
            }
        }.map(Self.message)
        return response
    }

    func create(
        request: Containerd_Services_Namespaces_V1_CreateNamespaceRequest, context: ServerContext
    ) async throws -> Containerd_Services_Namespaces_V1_CreateNamespaceResponse {
        try await namespaces.create(request.namespace.name, labels: request.namespace.labels)
        var response = Containerd_Services_Namespaces_V1_CreateNamespaceResponse()
        response.namespace = request.namespace
        return response
    }

    func update(
        request: Containerd_Services_Namespaces_V1_UpdateNamespaceRequest, context: ServerContext
    ) async throws -> Containerd_Services_Namespaces_V1_UpdateNamespaceResponse {
        let change = try LabelUpdate(
            mask: request.updateMask.paths, labels: request.namespace.labels, kind: "a namespace")
        let labels = try await namespaces.update(
            request.namespace.name, labels: change.labels, replacingAll: change.replacesAll)
        var response = Containerd_Services_Namespaces_V1_UpdateNamespaceResponse()
        response.namespace = Self.message(request.namespace.name, labels)
        return response
    }

    func delete(
        request: Containerd_Services_Namespaces_V1_DeleteNamespaceRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try await namespaces.delete(request.name)
        return Google_Protobuf_Empty()
    }

    private static func message(
        _ name: String, _ labels: [String: String]
    ) -> Containerd_Services_Namespaces_V1_Namespace {
        var message = Containerd_Services_Namespaces_V1_Namespace()
        message.name = name
        message.labels = labels
        return message
    }
}
