public import CRIAPI
internal import Engine
public import GRPCCore

extension ImageServer {
    /// Answers the image's ID, which is the same for every way to name the image.
    public func pullImage(
        request: Runtime_V1_PullImageRequest, context: ServerContext
    ) async throws -> Runtime_V1_PullImageResponse {
        let reference = try required(request.image.image, field: "image.image")
        let image = try await engine.pullImage(
            reference, login: request.hasAuth ? try RegistryLogin.decode(request.auth) : nil,
            server: request.auth.serverAddress)
        return Runtime_V1_PullImageResponse.with { $0.imageRef = image.id.description }
    }
}
