internal import ContainerdAPI
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

/// Who the daemon is and what it is made of; `ctr version` and `ctr plugins ls` ask.
struct IntrospectionServer: Containerd_Services_Introspection_V1_Introspection.SimpleServiceProtocol {
    let images: ImageService

    func server(
        request: Google_Protobuf_Empty, context: ServerContext
    ) async throws -> Containerd_Services_Introspection_V1_ServerResponse {
        let identity = try images.identity()
        var response = Containerd_Services_Introspection_V1_ServerResponse()
        response.uuid = identity.uuid
        response.pid = UInt64(identity.pid)
        response.pidns = identity.pidNamespace
        return response
    }

    /// What containerd's clients look for among its plugins, as far as it is here: the services of this socket, the content
    /// store, the snapshotters and the differ.
    func plugins(
        request: Containerd_Services_Introspection_V1_PluginsRequest, context: ServerContext
    ) async throws -> Containerd_Services_Introspection_V1_PluginsResponse {
        let filter = try FilterSet(request.filters)
        var platform = Containerd_Types_Platform()
        platform.os = images.platform.os
        platform.architecture = images.platform.architecture
        platform.variant = images.platform.variant ?? ""
        var plugins = images.snapshots.usableSnapshotters.map {
            Self.plugin(
                "io.containerd.snapshotter.v1", $0, platforms: [platform], exports: ["root": images.snapshotDirectory])
        }
        plugins.append(Self.plugin("io.containerd.content.v1", "content"))
        plugins.append(Self.plugin("io.containerd.differ.v1", "walking", platforms: [platform]))
        plugins.append(Self.plugin("io.containerd.gc.v1", "scheduler"))
        plugins += Self.services.map { Self.plugin("io.containerd.grpc.v1", $0) }
        var response = Containerd_Services_Introspection_V1_PluginsResponse()
        response.plugins = plugins.filter { plugin in
            filter.matches { path in
                switch path.first {
                case "type": plugin.type
                case "id": plugin.id
                case "platforms": plugin.platforms.isEmpty ? nil : "\(platform.os)/\(platform.architecture)"
                default: nil
                }
            }
        }
        return response
    }

    private static let services = [
        "content", "diff", "events", "healthcheck", "images", "introspection", "leases", "namespaces", "snapshots",
        "version",
    ]

    private static func plugin(
        _ type: String, _ id: String, platforms: [Containerd_Types_Platform] = [], exports: [String: String] = [:]
    ) -> Containerd_Services_Introspection_V1_Plugin {
        var plugin = Containerd_Services_Introspection_V1_Plugin()
        plugin.type = type
        plugin.id = id
        plugin.platforms = platforms
        plugin.exports = exports
        return plugin
    }
}
