internal import Core
internal import Images
internal import OCISpec
private import Synchronization

/// What an image is on this host: the manifest chosen for the platform, and its config.
struct ResolvedImage: Sendable {
    /// The named descriptor: a manifest, or an index that has the manifest in it.
    var target: Descriptor
    var manifest: Descriptor
    var config: Descriptor
    var layers: [Descriptor]
    var document: ImageConfig
    /// It is no root filesystem, but what a container was.
    var isCheckpoint: Bool

    /// The chain ID of all layers (image-spec, config.md, "Layer ChainID"); `nil` for an image without layers.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) if the config has another number of layers than the manifest.
    var chainID: Digest? {
        get throws {
            guard document.rootfs.diffIDs.count == layers.count else {
                throw BerthError(
                    .invalidArgument,
                    "image config \(config.digest) has \(document.rootfs.diffIDs.count) diffIDs, but manifest "
                        + "\(manifest.digest) has \(layers.count) layers")
            }
            return try Digest.chainIDs(document.rootfs.diffIDs).last
        }
    }

    /// Bytes of manifest and config.
    var documentSize: Int64 { manifest.size + config.size }

    /// Bytes of manifest, config and compressed layers.
    var size: Int64 { manifest.size + config.size + layers.reduce(0) { $0 + $1.size } }
}

/// Finds manifest and config of targets, and remembers them: a digest never stands for anything else.
final class ImageResolver: Sendable {
    /// Indexes in indexes deeper than this are refused.
    private static let depthLimit = 4
    /// Bytes of the documents that are remembered. In memory they are several times as large.
    private static let cacheLimit: Int64 = 8 << 20

    private struct Cache {
        var images: [Digest: ResolvedImage] = [:]
        var bytes: Int64 = 0
    }

    private let blobs: ContentStore
    private let platform: Platform
    private let cache = Mutex(Cache())

    init(blobs: ContentStore, platform: Platform) {
        self.blobs = blobs
        self.platform = platform
    }

    /// - Throws: `BerthError`: `notFound` if a blob is missing or no manifest fits the platform; `dataLoss` or
    ///   `invalidArgument` if one is damaged or malformed.
    func resolve(_ target: Descriptor) throws -> ResolvedImage {
        if let known = known(target.digest), blobs.contains(known.config.digest) {
            return known
        }
        let (descriptor, manifest) = try manifest(of: target, depth: 0)
        let document = try ImageConfig.decode(
            blobs.read(manifest.config, limit: ImageConfig.sizeLimit), what: "image config \(manifest.config.digest)")
        let resolved = ResolvedImage(
            target: target, manifest: descriptor, config: manifest.config, layers: manifest.layers, document: document,
            isCheckpoint: ImageService.checkpointAnnotations.contains { manifest.annotations?[$0] != nil })
        cache.withLock { cache in
            let size = resolved.documentSize
            if cache.bytes + size > Self.cacheLimit { cache = Cache() }
            if cache.images.updateValue(resolved, forKey: target.digest) == nil { cache.bytes += size }
        }
        return resolved
    }

    /// What is remembered of the target with this digest, whether its content is here still or not.
    func known(_ digest: Digest) -> ResolvedImage? { cache.withLock { $0.images[digest] } }

    func forget(_ digest: Digest) {
        cache.withLock { cache in
            if let known = cache.images.removeValue(forKey: digest) { cache.bytes -= known.documentSize }
        }
    }

    private func manifest(of descriptor: Descriptor, depth: Int) throws -> (Descriptor, Manifest) {
        guard depth < Self.depthLimit else {
            throw BerthError(.invalidArgument, "index \(descriptor.digest) is nested more than \(Self.depthLimit) deep")
        }
        switch try document(of: descriptor) {
        case .manifest(let manifest):
            return (descriptor, manifest)
        case .index(let index):
            guard let chosen = index.manifest(for: platform) else {
                throw BerthError(.notFound, "index \(descriptor.digest) has no manifest for platform \(platform)")
            }
            return try self.manifest(of: chosen, depth: depth + 1)
        }
    }

    func document(of descriptor: Descriptor) throws -> ImageDocument {
        try ImageDocument.decode(
            blobs.read(descriptor, limit: ImageDocument.sizeLimit), mediaType: descriptor.mediaType,
            what: "\(descriptor.digest)")
    }

    /// All blobs that `target` consists of, as far as they are here: each with the labels that make the collector
    /// keep what it refers to, named as containerd's clients name them.
    func tree(of target: Descriptor) throws -> [(descriptor: Descriptor, labels: [String: String])] {
        var result: [(Descriptor, [String: String])] = []
        var seen: Set<Digest> = []
        func visit(_ descriptor: Descriptor, depth: Int) throws {
            guard blobs.contains(descriptor.digest), seen.insert(descriptor.digest).inserted else { return }
            guard depth < Self.depthLimit, descriptor.mediaType.isIndex || descriptor.mediaType.isManifest else {
                result.append((descriptor, [:]))
                return
            }
            var labels: [String: String] = [:]
            switch try document(of: descriptor) {
            case .index(let index):
                for (position, child) in index.manifests.enumerated() where blobs.contains(child.digest) {
                    labels["\(GarbageGraph.contentReference).m.\(position)"] = child.digest.description
                    try visit(child, depth: depth + 1)
                }
            case .manifest(let manifest):
                labels["\(GarbageGraph.contentReference).config"] = manifest.config.digest.description
                try visit(manifest.config, depth: depth + 1)
                for (position, layer) in manifest.layers.enumerated() where blobs.contains(layer.digest) {
                    labels["\(GarbageGraph.contentReference).l.\(position)"] = layer.digest.description
                    try visit(layer, depth: depth + 1)
                }
            }
            result.append((descriptor, labels))
        }
        try visit(target, depth: 0)
        return result
    }
}
