public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func runPodSandbox(
        request: Runtime_V1_RunPodSandboxRequest, context: ServerContext
    ) async throws -> Runtime_V1_RunPodSandboxResponse {
        let config = try PodSandboxConfig(request.config)
        let id = try await engine.runPodSandbox(config, runtimeHandler: request.runtimeHandler)
        return Runtime_V1_RunPodSandboxResponse.with { $0.podSandboxID = id }
    }
}
