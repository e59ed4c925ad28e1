public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func podSandboxStatus(
        request: Runtime_V1_PodSandboxStatusRequest, context: ServerContext
    ) async throws -> Runtime_V1_PodSandboxStatusResponse {
        let pod = try engine.podSandbox(required(request.podSandboxID, field: "pod_sandbox_id"))
        let info = request.verbose ? try engine.information(of: pod) : [:]
        return Runtime_V1_PodSandboxStatusResponse.with {
            $0.status = Runtime_V1_PodSandboxStatus(pod)
            $0.info = info
            $0.containersStatuses = engine.containers(ContainerFilter(podID: pod.id)).map(
                Runtime_V1_ContainerStatus.init)
            $0.timestamp = WallClock.now()
        }
    }
}
