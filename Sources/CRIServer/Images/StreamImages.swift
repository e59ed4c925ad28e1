public import CRIAPI
internal import Engine
public import GRPCCore

extension ImageServer {
    public func streamImages(
        request: Runtime_V1_StreamImagesRequest, response: RPCWriter<Runtime_V1_StreamImagesResponse>,
        context: ServerContext
    ) async throws {
        for piece in try await images(request.filter).pieces(of: RuntimeServer.itemsPerMessage) {
            try await response.write(.with { $0.images = piece.map(Runtime_V1_Image.init) })
        }
    }
}
