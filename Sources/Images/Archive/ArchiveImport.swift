internal import Core
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// An image that an archive brought: all its blobs are in the content store.
public struct ImportedImage: Sendable {
    /// Full names; empty where the archive gives none.
    public let names: [String]
    public let target: Descriptor
}

/// Imports images from an OCI image layout (image-spec, image-layout.md) or a docker-archive (`docker save`), in a directory or a
/// tar archive, plain or compressed.
///
/// The archive is read once, as a stream. Blobs are verified against their names as they are stored; what an image refers to and
/// the archive lacks is an error.
public struct ArchiveImport: Sendable {
    let content: ContentStore
    /// Name for images whose archive gives only a tag: `docker.io/library/box` makes `docker.io/library/box:TAG`.
    public var baseName: String?

    public init(content: ContentStore, baseName: String? = nil) {
        self.content = content
        self.baseName = baseName
    }

    /// Imports a directory or a tar file. Blocks: call it on a thread of its own.
    ///
    /// - Throws: `BerthError`: `notFound` for a missing file; `invalidArgument` that says what is wrong with the archive.
    public func read(from path: FilePath) throws -> [ImportedImage] {
        do {
            if try Syscall.stat(path, follow: true).kind == .directory { return try readDirectory(path) }
            let file = try Syscall.open(path, .readOnly)
            return try read(tar: FileSource(file))
        } catch let error as Errno {
            throw BerthError(error == .noSuchFileOrDirectory ? .notFound : .internal, "read archive \(path)", cause: error)
        }
    }

    /// Imports a tar stream: a pipe, a socket or standard input. Blocks until its end.
    public func read(from descriptor: FileDescriptor) throws -> [ImportedImage] {
        try read(tar: PipeSource(descriptor))
    }

    private func read(tar source: any ByteSource) throws -> [ImportedImage] {
        let reader = TarReader(try detectingCompression(source).source)
        var members = ArchiveMembers(content: content)
        while let entry = try reader.next() {
            let path = Self.normal(String(decoding: entry.path, as: UTF8.self))
            switch entry.kind {
            case .regular: try members.add(path, size: entry.size) { try reader.readContent($0) }
            case .symlink, .hardLink:
                members.link(path, to: String(decoding: entry.linkTarget, as: UTF8.self), isHard: entry.kind == .hardLink)
            default: continue
            }
        }
        return try members.images(baseName: baseName)
    }

    private func readDirectory(_ directory: FilePath) throws -> [ImportedImage] {
        let root = try RootedDirectory(directory)
        var members = ArchiveMembers(content: content)
        var queue: [FilePath] = [""]
        while let folder = queue.popLast() {
            for name in try root.list(folder) {
                let path = folder.appending(name)
                let status = try root.status(path)
                switch status.kind {
                case .directory: queue.append(path)
                case .symlink: members.link(path.string, to: try root.readLink(path), isHard: false)
                case .regular:
                    let file = FileSource(try root.open(path, [.readOnly, .noFollow]))
                    try members.add(path.string, size: status.size) { sink in
                        let chunks = SingleThreadChunks(file)
                        while let chunk = try chunks.nextChunk() { try sink(chunk) }
                    }
                default: continue
                }
            }
        }
        return try members.images(baseName: baseName)
    }

    /// Without `./` and doubled slashes; `..` stays, and then names nothing that an image refers to.
    static func normal(_ path: String) -> String {
        path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}

/// The files of an archive that is being imported: documents in memory, everything else in the content store.
struct ArchiveMembers {
    private static let documents: Set<String> = ["oci-layout", "index.json", "manifest.json", "repositories"]

    private struct Stored {
        let digest: Digest
        let size: Int64
    }

    private let content: ContentStore
    private var documents: [String: [UInt8]] = [:]
    private var stored: [String: Stored] = [:]
    /// docker-archive names a layer that two images share by a link.
    private var links: [String: String] = [:]

    init(content: ContentStore) {
        self.content = content
    }

    /// Takes a regular file whose content `read` delivers.
    mutating func add(
        _ path: String, size: Int64, read: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        if Self.documents.contains(path) {
            guard size <= Int64(ImageDocument.sizeLimit) else {
                throw BerthError(.resourceExhausted, "\(path) of the archive is larger than \(ImageDocument.sizeLimit) bytes")
            }
            var bytes: [UInt8] = []
            try read { bytes += $0 }
            documents[path] = bytes
            return
        }
        let expected = try Self.digest(named: path)
        if let expected, content.contains(expected) {
            stored[path] = Stored(digest: expected, size: size)
            return
        }
        let writer = try content.ingest("import-\(Identifier.random())", algorithm: expected?.algorithm ?? .sha256)
        do {
            try read { try writer.write($0) }
            stored[path] = Stored(digest: try writer.commit(expecting: expected), size: writer.offset)
        } catch {
            writer.abort()
            throw BerthError.wrapping(error, "\(path) of the archive")
        }
    }

    mutating func link(_ path: String, to target: String, isHard: Bool) {
        guard !isHard, !target.hasPrefix("/") else {
            links[path] = ArchiveImport.normal(target)
            return
        }
        var parts = path.split(separator: "/").dropLast()
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { parts = parts.dropLast() } else { parts.append(part) }
        }
        links[path] = parts.joined(separator: "/")
    }

    func images(baseName: String?) throws -> [ImportedImage] {
        // An archive of a newer docker has both; the layout says more.
        if let index = documents["index.json"] { return try layoutImages(index, baseName: baseName) }
        if let manifest = documents["manifest.json"] { return try dockerImages(manifest) }
        throw BerthError(
            .invalidArgument, "the archive has neither an index.json (OCI image layout) nor a manifest.json (docker-archive)")
    }

    /// The digest that a path of a layout promises.
    private static func digest(named path: String) throws -> Digest? {
        let parts = path.split(separator: "/")
        guard parts.count == 3, parts[0] == "blobs" else { return nil }
        return try Digest("\(parts[1]):\(parts[2])")
    }

    // MARK: - OCI image layout

    private struct LayoutFile: Decodable {
        var imageLayoutVersion: String
    }

    private func layoutImages(_ index: [UInt8], baseName: String?) throws -> [ImportedImage] {
        if let bytes = documents["oci-layout"] {
            let layout = try StrictJSON.decode(LayoutFile.self, from: bytes, what: "oci-layout")
            guard layout.imageLayoutVersion.hasPrefix("1.") else {
                throw BerthError.invalid(
                    field: "oci-layout: imageLayoutVersion", value: layout.imageLayoutVersion, rule: "is not supported; 1.x is")
            }
        }
        guard case .index(let index) = try ImageDocument.decode(index, mediaType: .imageIndex, what: "index.json") else {
            throw BerthError(.invalidArgument, "index.json is not an index")
        }
        var images: [(target: Descriptor, names: [String])] = []
        for descriptor in index.manifests where descriptor.mediaType.isIndex || descriptor.mediaType.isManifest {
            try requireContent(of: descriptor)
            var target = descriptor
            target.annotations = nil
            let name = try Self.name(of: descriptor, baseName: baseName)
            // One image under several names stands there once for each.
            if let known = images.firstIndex(where: { $0.target.digest == target.digest }) {
                images[known].names += name.map { [$0] } ?? []
            } else {
                images.append((target, name.map { [$0] } ?? []))
            }
        }
        guard !images.isEmpty else { throw BerthError(.invalidArgument, "index.json of the archive names no image") }
        return images.map { ImportedImage(names: $0.names, target: $0.target) }
    }

    private static func name(of descriptor: Descriptor, baseName: String?) throws -> String? {
        if let name = descriptor.annotations?[ImageAnnotation.containerdName] {
            return try ImageReference(name).withDefaultTag.description
        }
        guard let name = descriptor.annotations?[ImageAnnotation.refName] else { return nil }
        if name.contains("/") || name.contains(":") { return try ImageReference(name).withDefaultTag.description }
        return try baseName.map { try ImageReference("\($0):\(name)").description }
    }

    /// - Throws: `BerthError` (`invalidArgument`) that names the first blob that an image needs and the archive lacks.
    private func requireContent(of descriptor: Descriptor, depth: Int = 0) throws {
        guard depth < 8 else { throw BerthError(.invalidArgument, "index \(descriptor.digest) is nested more than 8 deep") }
        let what = "manifest \(descriptor.digest)"
        guard content.contains(descriptor.digest) else {
            throw BerthError(.invalidArgument, "the archive lacks \(what)")
        }
        let bytes = try content.read(descriptor, limit: ImageDocument.sizeLimit)
        switch try ImageDocument.decode(bytes, mediaType: descriptor.mediaType, what: what) {
        case .manifest(let manifest):
            for blob in [manifest.config] + manifest.layers {
                guard content.contains(blob.digest) else {
                    throw BerthError(.invalidArgument, "the archive lacks blob \(blob.digest) of \(what)")
                }
                let size = try content.info(blob.digest).size
                guard size == blob.size else {
                    throw BerthError(
                        .invalidArgument, "blob \(blob.digest) has \(size) bytes instead of the \(blob.size) that \(what) says")
                }
            }
        case .index(let index):
            let present = index.manifests.filter { content.contains($0.digest) }
            guard !present.isEmpty else { throw BerthError(.invalidArgument, "the archive has no manifest of index \(descriptor.digest)") }
            for manifest in present { try requireContent(of: manifest, depth: depth + 1) }
        }
    }

    // MARK: - docker-archive

    private struct DockerImage: Decodable {
        var config: String
        var repoTags: [String]?
        var layers: [String]

        enum CodingKeys: String, CodingKey {
            case config = "Config"
            case repoTags = "RepoTags"
            case layers = "Layers"
        }
    }

    private func dockerImages(_ bytes: [UInt8]) throws -> [ImportedImage] {
        try StrictJSON.decode([DockerImage].self, from: bytes, what: "manifest.json").map { image in
            let config = try file(image.config, of: "Config")
            let parsed = try ImageConfig.decode(
                content.read(config.digest, limit: ImageConfig.sizeLimit), what: "\(image.config) of the archive")
            guard parsed.rootfs.diffIDs.count == image.layers.count else {
                throw BerthError(
                    .invalidArgument,
                    "manifest.json: Layers has \(image.layers.count) layers, and \(image.config) \(parsed.rootfs.diffIDs.count)")
            }
            let layers = try image.layers.map { path in
                let layer = try file(path, of: "Layers")
                let start = try content.open(layer.digest).read(at: 0, count: 6)
                let type: MediaType =
                    switch LayerCompression.detect(start) {
                    case .plain: .layer
                    case .gzip: .layerGzip
                    case .zstd: .layerZstd
                    }
                return Descriptor(mediaType: type, digest: layer.digest, size: layer.size)
            }
            let manifest = try StrictJSON.encode(
                Manifest(
                    mediaType: .imageManifest,
                    config: Descriptor(mediaType: .imageConfig, digest: config.digest, size: config.size), layers: layers))
            let digest = try content.write(manifest)
            return ImportedImage(
                names: try (image.repoTags ?? []).map { try ImageReference($0).withDefaultTag.description },
                target: Descriptor(mediaType: .imageManifest, digest: digest, size: Int64(manifest.count)))
        }
    }

    private func file(_ path: String, of field: String) throws -> Stored {
        var path = ArchiveImport.normal(path)
        for _ in 0..<8 {
            if let found = stored[path] { return found }
            guard let target = links[path] else { break }
            path = target
        }
        throw BerthError(.invalidArgument, "manifest.json: \(field) names \"\(path)\", which the archive lacks")
    }
}
