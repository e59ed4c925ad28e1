internal import ContainerdAPI
internal import GRPCCore

/// gRPC's health protocol, by which containerd's clients (`IsServing`), probes and supervisors wait for a daemon.
///
/// The empty name stands for the whole server; as in containerd, no service is told of by itself.
struct HealthServer: Grpc_Health_V1_Health.SimpleServiceProtocol {
    func check(
        request: Grpc_Health_V1_HealthCheckRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard request.service.isEmpty else {
            throw RPCError(code: .notFound, message: "unknown service \"\(request.service.prefix(128))\"")
        }
        return .with { $0.status = .serving }
    }

    /// A daemon that answers serves: the status changes only with the connection's end.
    func watch(
        request: Grpc_Health_V1_HealthCheckRequest, response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        try await response.write(.with { $0.status = request.service.isEmpty ? .serving : .serviceUnknown })
        try await context.cancellation.cancelled
    }
}
