public import CRIAPI
internal import Engine
public import GRPCCore

extension ImageServer {
    public func listImages(
        request: Runtime_V1_ListImagesRequest, context: ServerContext
    ) async throws -> Runtime_V1_ListImagesResponse {
        let images = try await images(request.filter)
        return Runtime_V1_ListImagesResponse.with { $0.images = images.map(Runtime_V1_Image.init) }
    }

    /// All images, or the one that the filter names.
    func images(_ filter: Runtime_V1_ImageFilter) async throws -> [ImageStatus] {
        guard !filter.image.image.isEmpty else { return try await engine.images.list() }
        return try await engine.images.status(of: filter.image.image).map { [$0] } ?? []
    }
}
