public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func streamContainerStats(
        request: Runtime_V1_StreamContainerStatsRequest, response: RPCWriter<Runtime_V1_StreamContainerStatsResponse>,
        context: ServerContext
    ) async throws {
        let stats = await engine.containerStatistics(ContainerFilter(request.filter))
        for piece in stats.pieces(of: Self.itemsPerMessage) {
            try await response.write(.with { $0.containerStats = piece.map(Runtime_V1_ContainerStats.init) })
        }
    }
}
