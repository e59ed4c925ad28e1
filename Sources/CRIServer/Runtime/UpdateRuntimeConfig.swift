public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    /// The pod CIDR of kubelet's `--pod-cidr`: networks here come from CNI configurations or Berth's own, so it is only logged.
    public func updateRuntimeConfig(
        request: Runtime_V1_UpdateRuntimeConfigRequest, context: ServerContext
    ) async throws -> Runtime_V1_UpdateRuntimeConfigResponse {
        engine.notePodCIDR(request.runtimeConfig.networkConfig.podCidr)
        return Runtime_V1_UpdateRuntimeConfigResponse()
    }
}
