internal import Core

/// An image manifest, OCI's or Docker's schema 2 (image-spec, manifest.md).
public struct Manifest: Hashable, Sendable, Codable {
    public var schemaVersion: Int
    public var mediaType: MediaType?
    public var artifactType: String?
    public var config: Descriptor
    public var layers: [Descriptor]
    public var subject: Descriptor?
    public var annotations: [String: String]?

    public init(
        mediaType: MediaType? = .imageManifest, config: Descriptor, layers: [Descriptor],
        annotations: [String: String]? = nil
    ) {
        schemaVersion = 2
        self.mediaType = mediaType
        self.config = config
        self.layers = layers
        self.annotations = annotations
    }
}

/// A list of manifests for several platforms, OCI's index or Docker's manifest list (image-spec, image-index.md).
public struct Index: Hashable, Sendable, Codable {
    public var schemaVersion: Int
    public var mediaType: MediaType?
    public var artifactType: String?
    public var manifests: [Descriptor]
    public var subject: Descriptor?
    public var annotations: [String: String]?

    public init(
        mediaType: MediaType? = .imageIndex, manifests: [Descriptor], annotations: [String: String]? = nil
    ) {
        schemaVersion = 2
        self.mediaType = mediaType
        self.manifests = manifests
        self.annotations = annotations
    }

    /// The manifest that fits `platform` best; entries without a platform count only where nothing else does.
    ///
    /// Attestations and other manifests marked `unknown/unknown` never match.
    public func manifest(for platform: Platform) -> Descriptor? {
        var best: (rank: Int, descriptor: Descriptor)?
        for descriptor in manifests {
            let rank: Int
            if let offered = descriptor.platform {
                guard let known = platform.rank(of: offered) else { continue }
                rank = known
            } else {
                rank = Int.max
            }
            if rank < best?.rank ?? Int.max || best == nil { best = (rank, descriptor) }
        }
        return best?.descriptor
    }
}

/// A manifest or an index, told apart by what the document holds and not only by what it is called.
public enum ImageDocument: Hashable, Sendable {
    case manifest(Manifest)
    case index(Index)

    /// Documents larger than this are refused before they are read (distribution-spec asks registries for 4 MiB at least).
    public static let sizeLimit = 4 << 20

    /// Decodes `bytes` that were announced as `mediaType`.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) if the document is both a manifest and an index (image-spec, CVE-2021-41190),
    ///   names another media type than announced, is of schema 1, or has a field wrong.
    public static func decode(_ bytes: [UInt8], mediaType: MediaType, what: String) throws -> ImageDocument {
        let shape = try StrictJSON.decode(Shape.self, from: bytes, what: what, limit: sizeLimit)
        guard shape.schemaVersion == 2 else {
            throw BerthError.invalid(
                field: "\(what): schemaVersion", value: "\(shape.schemaVersion ?? 0)",
                rule: "is not supported; only version 2 is")
        }
        if let stated = shape.mediaType, stated != mediaType {
            throw BerthError.invalid(
                field: "\(what): mediaType", value: stated, rule: "differs from the announced \"\(mediaType)\"")
        }
        let looksLikeIndex = shape.manifests != nil
        let looksLikeManifest = shape.layers != nil || shape.config != nil || shape.fsLayers != nil
        guard !(looksLikeIndex && looksLikeManifest) else {
            throw BerthError(
                .invalidArgument, "\(what): is both a manifest and an index, so its meaning is not certain")
        }
        if mediaType.isIndex {
            guard looksLikeIndex || !looksLikeManifest else {
                throw BerthError(.invalidArgument, "\(what): announced as an index but holds a manifest")
            }
            return .index(try StrictJSON.decode(Index.self, from: bytes, what: what, limit: sizeLimit))
        }
        guard mediaType.isManifest else {
            throw BerthError.invalid(
                field: "\(what): media type", value: mediaType, rule: "is neither a manifest nor an index")
        }
        guard !looksLikeIndex else {
            throw BerthError(.invalidArgument, "\(what): announced as a manifest but holds an index")
        }
        return .manifest(try StrictJSON.decode(Manifest.self, from: bytes, what: what, limit: sizeLimit))
    }

    /// The media type that a document of unknown origin is of, by its own field or its shape.
    public static func mediaType(of bytes: [UInt8], what: String) throws -> MediaType {
        let shape = try StrictJSON.decode(Shape.self, from: bytes, what: what, limit: sizeLimit)
        if let stated = shape.mediaType, stated.isIndex || stated.isManifest { return stated }
        return shape.manifests != nil ? .imageIndex : .imageManifest
    }

    private struct Shape: Decodable {
        struct Anything: Decodable {
            init(from decoder: any Decoder) throws {}
        }

        var schemaVersion: Int?
        var mediaType: MediaType?
        var manifests: Anything?
        var layers: Anything?
        var config: Anything?
        var fsLayers: Anything?
    }
}
