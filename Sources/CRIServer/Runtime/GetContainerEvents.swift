public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func getContainerEvents(
        request: Runtime_V1_GetEventsRequest, response: RPCWriter<Runtime_V1_ContainerEventResponse>,
        context: ServerContext
    ) async throws {
        for try await event in engine.events() {
            try await response.write(Runtime_V1_ContainerEventResponse(event))
        }
    }
}
