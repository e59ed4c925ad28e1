public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    /// The node's pod CIDR: for Berth's own network, where no configuration says otherwise.
    public func updateRuntimeConfig(
        request: Runtime_V1_UpdateRuntimeConfigRequest, context: ServerContext
    ) async throws -> Runtime_V1_UpdateRuntimeConfigResponse {
        try await engine.usePodCIDRs(request.runtimeConfig.networkConfig.podCidr)
        return Runtime_V1_UpdateRuntimeConfigResponse()
    }
}
