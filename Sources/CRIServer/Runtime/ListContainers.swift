public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func listContainers(
        request: Runtime_V1_ListContainersRequest, context: ServerContext
    ) async throws -> Runtime_V1_ListContainersResponse {
        let containers = engine.containers(try ContainerFilter(request.filter))
        return Runtime_V1_ListContainersResponse.with { $0.containers = containers.map(Runtime_V1_Container.init) }
    }
}
