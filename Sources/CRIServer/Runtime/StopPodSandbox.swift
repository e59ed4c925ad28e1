public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func stopPodSandbox(
        request: Runtime_V1_StopPodSandboxRequest, context: ServerContext
    ) async throws -> Runtime_V1_StopPodSandboxResponse {
        try await engine.stopPodSandbox(required(request.podSandboxID, field: "pod_sandbox_id"))
        return Runtime_V1_StopPodSandboxResponse()
    }
}
