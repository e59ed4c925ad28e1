public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func stopContainer(
        request: Runtime_V1_StopContainerRequest, context: ServerContext
    ) async throws -> Runtime_V1_StopContainerResponse {
        try await engine.stopContainer(
            required(request.containerID, field: "container_id"), grace: .seconds(max(0, request.timeout)))
        return Runtime_V1_StopContainerResponse()
    }
}
