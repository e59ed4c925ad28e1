public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func status(
        request: Runtime_V1_StatusRequest, context: ServerContext
    ) async throws -> Runtime_V1_StatusResponse {
        let status = await engine.status()
        return Runtime_V1_StatusResponse.with {
            $0.status.conditions = status.conditions.map { condition in
                Runtime_V1_RuntimeCondition.with {
                    $0.type = condition.type
                    $0.status = condition.isMet
                    $0.reason = condition.reason
                    $0.message = condition.message
                }
            }
            $0.runtimeHandlers = status.handlers.map { handler in
                Runtime_V1_RuntimeHandler.with {
                    $0.name = handler.name
                    $0.features.recursiveReadOnlyMounts = handler.recursiveReadonlyMounts
                    $0.features.userNamespaces = handler.userNamespaces
                }
            }
            $0.features.supplementalGroupsPolicy = true
            $0.features.mountOptions = true
            $0.features.userNamespacesHostNetwork = status.handlers.contains { $0.name.isEmpty && $0.userNamespaces }
            if request.verbose { $0.info = status.information }
        }
    }
}
