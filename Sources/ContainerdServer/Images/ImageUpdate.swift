internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore

extension ImageServer {
    func update(
        request: Containerd_Services_Images_V1_UpdateImageRequest, context: ServerContext
    ) async throws -> Containerd_Services_Images_V1_UpdateImageResponse {
        let scope = try CallHeaders.scope()
        let mask = request.updateMask.paths
        let labels = request.image.labels
        let annotations = request.image.target.annotations
        let target = request.image.hasTarget ? try request.image.target.decoded(field: "image.target") : nil
        let image = try await images.update(request.image.name, namespace: scope.namespace) { image in
            if mask.isEmpty {
                image.labels = labels
                image.target = try Self.required(target)
            }
            for path in mask {
                if path == "labels" {
                    image.labels = labels
                } else if path == "target" {
                    image.target = try Self.required(target)
                } else if path == "annotations" {
                    image.target.annotations = annotations
                } else if let key = Self.key(in: path, below: "labels.") {
                    image.labels[key] = labels[key] ?? ""
                } else if let key = Self.key(in: path, below: "annotations.") {
                    image.target.annotations = (image.target.annotations ?? [:]).merging([key: annotations[key] ?? ""])
                    { $1 }
                } else {
                    throw BerthError.invalid(field: "update_mask", value: path, rule: "cannot be updated on an image")
                }
            }
        }
        var response = Containerd_Services_Images_V1_UpdateImageResponse()
        response.image = Self.message(image)
        return response
    }

    private static func required(_ target: ImageDescriptor?) throws -> ImageDescriptor {
        guard let target else { throw BerthError.invalid(field: "image.target", value: "", rule: "must be given") }
        return target
    }

    private static func key(in path: String, below prefix: String) -> String? {
        path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : nil
    }
}
