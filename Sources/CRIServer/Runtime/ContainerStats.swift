public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func containerStats(
        request: Runtime_V1_ContainerStatsRequest, context: ServerContext
    ) async throws -> Runtime_V1_ContainerStatsResponse {
        let container = try engine.container(required(request.containerID, field: "container_id"))
        let stats = await engine.statistics(of: container)
        return Runtime_V1_ContainerStatsResponse.with { $0.stats = Runtime_V1_ContainerStats(stats) }
    }
}
