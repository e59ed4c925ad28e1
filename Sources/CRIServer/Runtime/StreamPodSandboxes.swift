public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func streamPodSandboxes(
        request: Runtime_V1_StreamPodSandboxesRequest, response: RPCWriter<Runtime_V1_StreamPodSandboxesResponse>,
        context: ServerContext
    ) async throws {
        let pods = engine.podSandboxes(try PodFilter(request.filter))
        for piece in pods.pieces(of: Self.itemsPerMessage) {
            try await response.write(.with { $0.podSandboxes = piece.map(Runtime_V1_PodSandbox.init) })
        }
    }
}
