public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func updateContainerResources(
        request: Runtime_V1_UpdateContainerResourcesRequest, context: ServerContext
    ) async throws -> Runtime_V1_UpdateContainerResourcesResponse {
        try refuseWindows(request.hasWindows, field: "windows")
        try await engine.updateContainerResources(
            required(request.containerID, field: "container_id"), to: LinuxResources(request.linux))
        return Runtime_V1_UpdateContainerResourcesResponse()
    }
}
