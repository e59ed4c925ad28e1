internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

/// containerd's image service: names and what they stand for. Updating has a file of its own.
struct ImageServer: Containerd_Services_Images_V1_Images.SimpleServiceProtocol {
    let images: ImageService

    func get(
        request: Containerd_Services_Images_V1_GetImageRequest, context: ServerContext
    ) async throws -> Containerd_Services_Images_V1_GetImageResponse {
        let scope = try CallHeaders.scope()
        var response = Containerd_Services_Images_V1_GetImageResponse()
        response.image = Self.message(try await images.named(request.name, namespace: scope.namespace))
        return response
    }

    func list(
        request: Containerd_Services_Images_V1_ListImagesRequest, context: ServerContext
    ) async throws -> Containerd_Services_Images_V1_ListImagesResponse {
        let scope = try CallHeaders.scope()
        let filter = try FilterSet(request.filters)
        var response = Containerd_Services_Images_V1_ListImagesResponse()
        response.images = try await images.allNamed(namespace: scope.namespace)
            .filter { image in filter.matches { Self.field(of: image, $0) } }
            .map(Self.message)
        return response
    }

    func create(
        request: Containerd_Services_Images_V1_CreateImageRequest, context: ServerContext
    ) async throws -> Containerd_Services_Images_V1_CreateImageResponse {
        let scope = try CallHeaders.scope()
        var image = NamedImage(
            name: request.image.name, target: try request.image.target.decoded(field: "image.target"),
            labels: request.image.labels)
        if request.hasSourceDateEpoch { image.createdAt = request.sourceDateEpoch.nanoseconds ?? 0 }
        var response = Containerd_Services_Images_V1_CreateImageResponse()
        response.image = Self.message(try await images.create(image, namespace: scope.namespace))
        return response
    }

    func delete(
        request: Containerd_Services_Images_V1_DeleteImageRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        let scope = try CallHeaders.scope()
        try await images.deleteName(
            request.name, target: request.hasTarget ? Digest(request.target.digest) : nil, namespace: scope.namespace,
            waitForCollection: request.sync)
        return Google_Protobuf_Empty()
    }

    static func message(_ image: NamedImage) -> Containerd_Services_Images_V1_Image {
        var message = Containerd_Services_Images_V1_Image()
        message.name = image.name
        message.labels = image.labels
        message.target = Containerd_Types_Descriptor(image.target)
        message.createdAt = Google_Protobuf_Timestamp(nanoseconds: image.createdAt)
        message.updatedAt = Google_Protobuf_Timestamp(nanoseconds: image.updatedAt)
        return message
    }

    private static func field(of image: NamedImage, _ path: [String]) -> String? {
        switch path.first {
        case "name": image.name
        case "target":
            switch path.dropFirst().first {
            case "digest": image.target.digest.description
            case "mediatype": image.target.mediaType.rawValue
            default: nil
            }
        case "labels": labelField(image.labels, path.dropFirst())
        case "annotations": labelField(image.target.annotations ?? [:], path.dropFirst())
        default: nil
        }
    }
}
