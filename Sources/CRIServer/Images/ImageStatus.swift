public import CRIAPI
internal import Engine
public import GRPCCore

extension ImageServer {
    /// A missing image is an empty answer, not an error.
    public func imageStatus(
        request: Runtime_V1_ImageStatusRequest, context: ServerContext
    ) async throws -> Runtime_V1_ImageStatusResponse {
        let image = try await engine.images.status(of: required(request.image.image, field: "image.image"))
        return Runtime_V1_ImageStatusResponse.with {
            guard let image else { return }
            $0.image = Runtime_V1_Image(image)
            if request.verbose { $0.info = engine.information(of: image) }
        }
    }
}
