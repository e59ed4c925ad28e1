public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func streamPodSandboxStats(
        request: Runtime_V1_StreamPodSandboxStatsRequest, response: RPCWriter<Runtime_V1_StreamPodSandboxStatsResponse>,
        context: ServerContext
    ) async throws {
        let stats = await engine.podStatistics(PodFilter(request.filter))
        for piece in stats.pieces(of: Self.itemsPerMessage) {
            try await response.write(.with { $0.podSandboxStats = piece.map(Runtime_V1_PodSandboxStats.init) })
        }
    }
}
