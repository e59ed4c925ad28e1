public import CRIAPI
internal import Core
internal import Engine
public import GRPCCore

extension ImageServer {
    /// Removes every name of the image. Succeeds when it is gone.
    public func removeImage(
        request: Runtime_V1_RemoveImageRequest, context: ServerContext
    ) async throws -> Runtime_V1_RemoveImageResponse {
        let reference = try required(request.image.image, field: "image.image")
        do {
            try await engine.images.remove(reference)
        } catch let error as BerthError where error.code == .notFound {}
        return Runtime_V1_RemoveImageResponse()
    }
}
