public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func removeContainer(
        request: Runtime_V1_RemoveContainerRequest, context: ServerContext
    ) async throws -> Runtime_V1_RemoveContainerResponse {
        try await engine.removeContainer(required(request.containerID, field: "container_id"))
        return Runtime_V1_RemoveContainerResponse()
    }
}
