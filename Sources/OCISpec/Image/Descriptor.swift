public import Core

/// A reference to content by digest (image-spec, descriptor.md).
public struct Descriptor: Hashable, Sendable, Codable {
    public var mediaType: MediaType
    public var digest: Digest
    /// Size in bytes; never negative in a decoded value.
    public var size: Int64
    public var urls: [String]?
    public var annotations: [String: String]?
    public var platform: Platform?
    public var artifactType: String?
    /// The content itself, in base64; a copy for convenience, never trusted without checking the digest.
    public var data: String?

    public init(
        mediaType: MediaType, digest: Digest, size: Int64, annotations: [String: String]? = nil,
        platform: Platform? = nil, artifactType: String? = nil
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.annotations = annotations
        self.platform = platform
        self.artifactType = artifactType
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        mediaType = try container.decodeIfPresent(MediaType.self, forKey: .mediaType) ?? MediaType(rawValue: "")
        let text = try container.decode(String.self, forKey: .digest)
        do {
            digest = try Digest(text)
        } catch {
            throw DecodingError.dataCorruptedError(forKey: .digest, in: container, debugDescription: "\(error)")
        }
        size = try container.decode(Int64.self, forKey: .size)
        guard size >= 0 else {
            throw DecodingError.dataCorruptedError(
                forKey: .size, in: container, debugDescription: "\(size) is negative")
        }
        urls = try container.decodeIfPresent([String].self, forKey: .urls)
        annotations = try container.decodeIfPresent([String: String].self, forKey: .annotations)
        platform = try container.decodeIfPresent(Platform.self, forKey: .platform)
        artifactType = try container.decodeIfPresent(String.self, forKey: .artifactType)
        data = try container.decodeIfPresent(String.self, forKey: .data)
    }
}

/// Annotation keys that have a meaning here.
public enum ImageAnnotation {
    /// In `index.json` of a layout: a tag or a whole reference (image-spec, annotations.md).
    public static let refName = "org.opencontainers.image.ref.name"
    /// In `index.json` of containerd's exports: the whole reference.
    public static let containerdName = "io.containerd.image.name"
}
