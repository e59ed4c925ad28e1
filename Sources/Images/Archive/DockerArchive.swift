internal import Core
internal import OCISpec

/// An entry of `manifest.json`, the table of contents of what `docker save` writes.
struct DockerImage: Codable {
    var config: String
    var repoTags: [String]?
    var layers: [String]

    enum CodingKeys: String, CodingKey {
        case config = "Config"
        case repoTags = "RepoTags"
        case layers = "Layers"
    }
}

/// The images of a docker-archive, each with a manifest made for it.
struct DockerArchive<Files: ArchiveFiles> {
    let content: ContentStore
    let files: Files
    /// The layers' digests by config: many entries may name one config.
    private var diffIDs: [Digest: [Digest]] = [:]

    init(content: ContentStore, files: Files) {
        self.content = content
        self.files = files
    }

    /// - Parameter manifest: `manifest.json`.
    mutating func images(_ manifest: [UInt8]) throws -> [ImportedImage] {
        let entries = try StrictJSON.decode([DockerImage].self, from: manifest, what: "manifest.json")
        guard !entries.isEmpty else {
            throw BerthError(.invalidArgument, "manifest.json of the archive names no image")
        }
        var images: [ImportedImage] = []
        for entry in entries { images.append(try image(entry)) }
        return images
    }

    private mutating func image(_ image: DockerImage) throws -> ImportedImage {
        let config = try file(image.config, of: "Config")
        let diffIDs = try diffIDs(of: config, named: image.config)
        guard diffIDs.count == image.layers.count else {
            throw BerthError(
                .invalidArgument,
                "manifest.json: Layers has \(image.layers.count) layers, and \(shown(image.config)) \(diffIDs.count)")
        }
        let layers = try zip(image.layers, diffIDs).map { try layer($0, diffID: $1) }
        let manifest = try StrictJSON.encode(
            Manifest(
                mediaType: .imageManifest,
                config: Descriptor(mediaType: .imageConfig, digest: config.digest, size: config.size), layers: layers))
        return ImportedImage(
            names: try (image.repoTags ?? []).map { try ImageReference($0).withDefaultTag.description },
            target: Descriptor(
                mediaType: .imageManifest, digest: try content.write(manifest), size: Int64(manifest.count)))
    }

    private mutating func diffIDs(of config: ArchivedFile, named path: String) throws -> [Digest] {
        if let known = diffIDs[config.digest] { return known }
        let bytes = try content.read(config.digest, limit: ImageConfig.sizeLimit)
        let found = try ImageConfig.decode(bytes, what: "\(shown(path)) of the archive").rootfs.diffIDs
        diffIDs[config.digest] = found
        return found
    }

    private func layer(_ path: String, diffID: Digest) throws -> Descriptor {
        let file = try file(path, of: "Layers")
        let reader = try content.open(file.digest)
        let type: MediaType
        switch LayerCompression.detect(try reader.read(at: 0, count: 6)) {
        case .plain:
            type = .layer
            guard file.digest == diffID || file.digest.algorithm != diffID.algorithm else {
                throw BerthError(
                    .invalidArgument, "layer \(shown(path)) has digest \(file.digest) instead of the config's \(diffID)"
                )
            }
        case .gzip: type = .layerGzip
        case .zstd: type = .layerZstd
        }
        return Descriptor(mediaType: type, digest: file.digest, size: file.size)
    }

    private func file(_ path: String, of field: String) throws -> ArchivedFile {
        guard let found = try files.stored(path) else {
            throw BerthError(.invalidArgument, "manifest.json: \(field) names \(shown(path)), which the archive lacks")
        }
        return found
    }

    private func shown(_ path: String) -> String { TarReader.shown(path.utf8) }
}
