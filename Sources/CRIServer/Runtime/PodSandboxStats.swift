public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func podSandboxStats(
        request: Runtime_V1_PodSandboxStatsRequest, context: ServerContext
    ) async throws -> Runtime_V1_PodSandboxStatsResponse {
        let pod = try engine.podSandbox(required(request.podSandboxID, field: "pod_sandbox_id"))
        let stats = await engine.statistics(of: pod)
        return Runtime_V1_PodSandboxStatsResponse.with { $0.stats = Runtime_V1_PodSandboxStats(stats) }
    }
}
