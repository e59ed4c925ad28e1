/// The media types of images, in OCI's and Docker's names (image-spec, media-types.md).
///
/// A value that nobody here knows is kept as it is: artifacts may carry any type.
public struct MediaType: RawRepresentable, Hashable, Sendable, Codable {
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    public init(from decoder: any Decoder) throws {
        rawValue = try decoder.singleValueContainer().decode(String.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }

    public static let imageIndex = MediaType(rawValue: "application/vnd.oci.image.index.v1+json")
    public static let imageManifest = MediaType(rawValue: "application/vnd.oci.image.manifest.v1+json")
    public static let imageConfig = MediaType(rawValue: "application/vnd.oci.image.config.v1+json")
    public static let emptyJSON = MediaType(rawValue: "application/vnd.oci.empty.v1+json")
    public static let layer = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar")
    public static let layerGzip = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+gzip")
    public static let layerZstd = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+zstd")

    public static let dockerManifestList = MediaType(
        rawValue: "application/vnd.docker.distribution.manifest.list.v2+json")
    public static let dockerManifest = MediaType(rawValue: "application/vnd.docker.distribution.manifest.v2+json")
    public static let dockerConfig = MediaType(rawValue: "application/vnd.docker.container.image.v1+json")
}

extension MediaType: CustomStringConvertible {
    public var description: String { rawValue }
}

extension MediaType {
    public var isIndex: Bool { self == .imageIndex || self == .dockerManifestList }
    public var isManifest: Bool { self == .imageManifest || self == .dockerManifest }
    public var isImageConfig: Bool { self == .imageConfig || self == .dockerConfig }

    /// How a layer of this type is compressed, or `nil` if the type is not a filesystem layer.
    public var layerCompression: LayerCompression? {
        switch rawValue {
        case "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar":
            .plain
        case "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":
            .gzip
        case "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd":
            .zstd
        default: nil
        }
    }

    public var isLayer: Bool { layerCompression != nil }
}

public enum LayerCompression: String, Sendable, CaseIterable {
    case plain = "none"
    case gzip
    case zstd
}
