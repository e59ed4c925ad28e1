public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func listPodSandboxStats(
        request: Runtime_V1_ListPodSandboxStatsRequest, context: ServerContext
    ) async throws -> Runtime_V1_ListPodSandboxStatsResponse {
        let stats = await engine.podStatistics(PodFilter(request.filter))
        return Runtime_V1_ListPodSandboxStatsResponse.with { $0.stats = stats.map(Runtime_V1_PodSandboxStats.init) }
    }
}
