public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func startContainer(
        request: Runtime_V1_StartContainerRequest, context: ServerContext
    ) async throws -> Runtime_V1_StartContainerResponse {
        try await engine.startContainer(required(request.containerID, field: "container_id"))
        return Runtime_V1_StartContainerResponse()
    }
}
