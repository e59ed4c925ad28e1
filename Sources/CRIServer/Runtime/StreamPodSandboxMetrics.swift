public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    /// A pod's metrics are some 20 KiB, so a message holds fewer of them than of other items.
    private static let metricsPerMessage = 20

    public func streamPodSandboxMetrics(
        request: Runtime_V1_StreamPodSandboxMetricsRequest,
        response: RPCWriter<Runtime_V1_StreamPodSandboxMetricsResponse>, context: ServerContext
    ) async throws {
        let metrics = await engine.podMetrics()
        for piece in metrics.pieces(of: Self.metricsPerMessage) {
            try await response.write(.with { $0.podSandboxMetrics = piece.map(Runtime_V1_PodSandboxMetrics.init) })
        }
    }
}
