internal import Core
public import Images
internal import OCISpec

extension ImageService {
    /// Annotations of a manifest by which builders mark an image as a container's checkpoint.
    static let checkpointAnnotations = [
        "org.criu.checkpoint.container.name", "io.kubernetes.cri-o.annotations.checkpoint.name",
    ]

    /// The one layer of an image that is a container's checkpoint; `nil` for every other image, and where there is none.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) for a checkpoint of more layers.
    public func checkpointLayer(
        of reference: String, namespace: String = criNamespace
    ) async throws -> BlobReader? {
        guard let image = try await find(reference, namespace: namespace).first?.image, image.isCheckpoint else {
            return nil
        }
        guard image.layers.count == 1, let layer = image.layers.first else {
            throw BerthError(
                .invalidArgument,
                "image \"\(reference)\" is a checkpoint of \(image.layers.count) layers, and not of one")
        }
        return try await storage.blobs.openVerified(layer.digest)
    }
}
