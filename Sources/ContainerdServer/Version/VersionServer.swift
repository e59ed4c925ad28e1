internal import ContainerdAPI
internal import GRPCCore
internal import SwiftProtobuf

struct VersionServer: Containerd_Services_Version_V1_Version.SimpleServiceProtocol {
    let version: String

    func version(
        request: Google_Protobuf_Empty, context: ServerContext
    ) async throws -> Containerd_Services_Version_V1_VersionResponse {
        var response = Containerd_Services_Version_V1_VersionResponse()
        response.version = version
        response.revision = ContainerdServices.revision
        return response
    }
}
