public import CRIAPI
internal import Core
internal import Engine
public import GRPCCore
internal import Streaming

extension RuntimeServer {
    public func portForward(
        request: Runtime_V1_PortForwardRequest, context: ServerContext
    ) async throws -> Runtime_V1_PortForwardResponse {
        let pod = try engine.readyPodSandbox(required(request.podSandboxID, field: "pod_sandbox_id"))
        let ports = try request.port.map { port throws -> UInt16 in
            guard let known = UInt16(exactly: port), known > 0 else {
                throw BerthError.invalid(field: "port", value: port, rule: "must be from 1 to 65535")
            }
            return known
        }
        let url = try streaming.url(for: .portForward(sandbox: pod.id, ports: ports))
        return .with { $0.url = url }
    }
}
