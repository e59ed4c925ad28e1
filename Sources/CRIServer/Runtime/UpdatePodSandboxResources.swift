public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func updatePodSandboxResources(
        request: Runtime_V1_UpdatePodSandboxResourcesRequest, context: ServerContext
    ) async throws -> Runtime_V1_UpdatePodSandboxResourcesResponse {
        try await engine.updatePodSandboxResources(
            required(request.podSandboxID, field: "pod_sandbox_id"),
            overhead: request.hasOverhead ? LinuxResources(request.overhead) : nil,
            resources: request.hasResources ? LinuxResources(request.resources) : nil)
        return Runtime_V1_UpdatePodSandboxResourcesResponse()
    }
}
