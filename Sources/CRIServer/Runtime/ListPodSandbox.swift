public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func listPodSandbox(
        request: Runtime_V1_ListPodSandboxRequest, context: ServerContext
    ) async throws -> Runtime_V1_ListPodSandboxResponse {
        let pods = engine.podSandboxes(try PodFilter(request.filter))
        return Runtime_V1_ListPodSandboxResponse.with { $0.items = pods.map(Runtime_V1_PodSandbox.init) }
    }
}
