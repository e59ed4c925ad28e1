public import CRIAPI
internal import Core
internal import Engine
public import GRPCCore
internal import SystemPackage

extension RuntimeServer {
    public func checkpointContainer(
        request: Runtime_V1_CheckpointContainerRequest, context: ServerContext
    ) async throws -> Runtime_V1_CheckpointContainerResponse {
        guard request.timeout >= 0 else {
            throw BerthError.invalid(field: "timeout", value: request.timeout, rule: "must not be negative")
        }
        try await engine.checkpointContainer(
            required(request.containerID, field: "container_id"),
            to: FilePath(required(request.location, field: "location")),
            timeout: request.timeout > 0 ? .seconds(request.timeout) : nil)
        return .init()
    }
}
