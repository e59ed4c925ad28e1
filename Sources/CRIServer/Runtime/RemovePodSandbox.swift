public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func removePodSandbox(
        request: Runtime_V1_RemovePodSandboxRequest, context: ServerContext
    ) async throws -> Runtime_V1_RemovePodSandboxResponse {
        try await engine.removePodSandbox(required(request.podSandboxID, field: "pod_sandbox_id"))
        return Runtime_V1_RemovePodSandboxResponse()
    }
}
