public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func runtimeConfig(
        request: Runtime_V1_RuntimeConfigRequest, context: ServerContext
    ) async throws -> Runtime_V1_RuntimeConfigResponse {
        let driver: Runtime_V1_CgroupDriver = engine.configuration.usesSystemd ? .systemd : .cgroupfs
        return Runtime_V1_RuntimeConfigResponse.with { $0.linux.cgroupDriver = driver }
    }
}
