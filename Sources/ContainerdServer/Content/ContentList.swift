internal import ContainerdAPI
internal import Engine
internal import GRPCCore

extension ContentServer {
    private static let batch = 100

    func list(
        request: Containerd_Services_Content_V1_ListContentRequest,
        response: RPCWriter<Containerd_Services_Content_V1_ListContentResponse>, context: ServerContext
    ) async throws {
        let scope = try CallHeaders.scope()
        let filter = try FilterSet(request.filters)
        var message = Containerd_Services_Content_V1_ListContentResponse()
        for info in try await content.list(namespace: scope.namespace) {
            guard filter.matches({ Self.field(of: info, $0) }) else { continue }
            message.info.append(Self.message(info))
            if message.info.count == Self.batch {
                try await response.write(message)
                message.info = []
            }
        }
        if !message.info.isEmpty { try await response.write(message) }
    }

    private static func field(of info: ContentService.Info, _ path: [String]) -> String? {
        switch path.first {
        case "digest": info.digest.description
        case "size": "\(info.size)"
        case "labels": labelField(info.labels, path.dropFirst())
        default: nil
        }
    }
}
