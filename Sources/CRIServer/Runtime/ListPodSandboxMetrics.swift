public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func listPodSandboxMetrics(
        request: Runtime_V1_ListPodSandboxMetricsRequest, context: ServerContext
    ) async throws -> Runtime_V1_ListPodSandboxMetricsResponse {
        let metrics = await engine.podMetrics()
        return Runtime_V1_ListPodSandboxMetricsResponse.with {
            $0.podMetrics = metrics.map(Runtime_V1_PodSandboxMetrics.init)
        }
    }
}
