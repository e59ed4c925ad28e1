public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func listContainerStats(
        request: Runtime_V1_ListContainerStatsRequest, context: ServerContext
    ) async throws -> Runtime_V1_ListContainerStatsResponse {
        let stats = await engine.containerStatistics(ContainerFilter(request.filter))
        return Runtime_V1_ListContainerStatsResponse.with { $0.stats = stats.map(Runtime_V1_ContainerStats.init) }
    }
}
