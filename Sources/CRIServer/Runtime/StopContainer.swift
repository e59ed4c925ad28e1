public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    /// A client that gives up takes the kill that it would have come to back.
    public func stopContainer(
        request: Runtime_V1_StopContainerRequest, context: ServerContext
    ) async throws -> Runtime_V1_StopContainerResponse {
        let id = try required(request.containerID, field: "container_id")
        let grace = Duration.seconds(max(0, request.timeout))
        let stop = Task { [engine] in try await engine.stopContainer(id, grace: grace) }
        try await withRPCCancellationHandler {
            try await stop.value
        } onCancelRPC: {
            stop.cancel()
        }
        return Runtime_V1_StopContainerResponse()
    }
}
