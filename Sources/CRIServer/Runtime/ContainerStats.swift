public import CRIAPI
internal import Core
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func containerStats(
        request: Runtime_V1_ContainerStatsRequest, context: ServerContext
    ) async throws -> Runtime_V1_ContainerStatsResponse {
        let container = try engine.container(required(request.containerID, field: "container_id"))
        guard container.state.isRunning else {
            throw BerthError(
                .failedPrecondition,
                "container \"\(container.id)\" is \(container.state.name), and has no statistics")
        }
        let stats = await engine.statistics(of: container)
        return Runtime_V1_ContainerStatsResponse.with { $0.stats = Runtime_V1_ContainerStats(stats) }
    }
}
