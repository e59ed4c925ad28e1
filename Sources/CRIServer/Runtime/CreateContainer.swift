public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func createContainer(
        request: Runtime_V1_CreateContainerRequest, context: ServerContext
    ) async throws -> Runtime_V1_CreateContainerResponse {
        let id = try await engine.createContainer(
            ContainerConfig(request.config), in: required(request.podSandboxID, field: "pod_sandbox_id"))
        return Runtime_V1_CreateContainerResponse.with { $0.containerID = id }
    }
}
