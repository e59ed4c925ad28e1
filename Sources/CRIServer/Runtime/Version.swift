public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    /// The version of the CRI itself that kubelets expect here, whatever they send.
    private static let kubeletAPIVersion = "0.1.0"

    public func version(
        request: Runtime_V1_VersionRequest, context: ServerContext
    ) async throws -> Runtime_V1_VersionResponse {
        Runtime_V1_VersionResponse.with {
            $0.version = Self.kubeletAPIVersion
            $0.runtimeName = "berth"
            $0.runtimeVersion = Release.version
            $0.runtimeApiVersion = "v1"
        }
    }
}
