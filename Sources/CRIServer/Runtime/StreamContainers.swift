public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func streamContainers(
        request: Runtime_V1_StreamContainersRequest, response: RPCWriter<Runtime_V1_StreamContainersResponse>,
        context: ServerContext
    ) async throws {
        let containers = engine.containers(try ContainerFilter(request.filter))
        for piece in containers.pieces(of: Self.itemsPerMessage) {
            try await response.write(.with { $0.containers = piece.map(Runtime_V1_Container.init) })
        }
    }
}
