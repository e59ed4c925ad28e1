public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func containerStatus(
        request: Runtime_V1_ContainerStatusRequest, context: ServerContext
    ) async throws -> Runtime_V1_ContainerStatusResponse {
        let container = try engine.container(required(request.containerID, field: "container_id"))
        let info = request.verbose ? try engine.information(of: container) : [:]
        return Runtime_V1_ContainerStatusResponse.with {
            $0.status = Runtime_V1_ContainerStatus(container)
            $0.info = info
        }
    }
}
