public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func runtimeConfig(
        request: Runtime_V1_RuntimeConfigRequest, context: ServerContext
    ) async throws -> Runtime_V1_RuntimeConfigResponse {
        Runtime_V1_RuntimeConfigResponse.with { $0.linux.cgroupDriver = .cgroupfs }
    }
}
