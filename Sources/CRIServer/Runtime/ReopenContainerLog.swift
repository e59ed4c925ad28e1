public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func reopenContainerLog(
        request: Runtime_V1_ReopenContainerLogRequest, context: ServerContext
    ) async throws -> Runtime_V1_ReopenContainerLogResponse {
        try await engine.reopenLog(of: required(request.containerID, field: "container_id"))
        return Runtime_V1_ReopenContainerLogResponse()
    }
}
