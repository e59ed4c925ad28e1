internal import Core
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// Exports images as an OCI image layout (image-spec, image-layout.md), in a tar archive or a directory, with the manifest.json
/// that `docker load` reads beside it.
public struct ArchiveExport: Sendable {
    public struct Item: Sendable {
        /// The image's full name; `nil` for one without.
        public let name: String?
        public let target: Descriptor

        public init(name: String?, target: Descriptor) {
            self.name = name
            self.target = target
        }
    }

    private let content: ContentStore
    /// Only what this platform needs is exported of an index; `nil` for all that the store has.
    public var platform: Platform?

    public init(content: ContentStore, platform: Platform? = nil) {
        self.content = content
        self.platform = platform
    }

    /// Writes a tar archive, piece by piece, to `sink`. The bytes depend on the images alone.
    ///
    /// - Throws: `BerthError` (`notFound`) that names the blob that is missing.
    public func write(_ items: [Item], to sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        let documents = try documents(of: items)
        var tar = TarWriter(sink)
        try tar.add(TarEntry(path: Array("oci-layout".utf8)), content: documents.layout)
        try tar.add(TarEntry(path: Array("index.json".utf8)), content: documents.index)
        if let docker = documents.docker { try tar.add(TarEntry(path: Array("manifest.json".utf8)), content: docker) }
        for folder in ["blobs/"] + Set(documents.blobs.map { "blobs/\($0.algorithm.rawValue)/" }).sorted() {
            try tar.add(TarEntry(kind: .directory, path: Array(folder.utf8), mode: 0o755))
        }
        for digest in documents.blobs {
            let blob = try content.open(digest)
            try tar.begin(TarEntry(path: Array(Self.path(of: digest).utf8), size: blob.size))
            try Self.forEachPiece(of: blob) { try tar.write($0) }
            try tar.end()
        }
        try tar.finish()
    }

    /// Writes an image layout into a directory, which is made.
    public func write(_ items: [Item], toDirectory directory: FilePath) throws {
        let documents = try documents(of: items)
        for algorithm in Set(documents.blobs.map(\.algorithm.rawValue)) {
            try Files.makeDirectories(directory.appending("blobs").appending(algorithm))
        }
        for digest in documents.blobs {
            let blob = try content.open(digest)
            let file = try FileDescriptor.open(
                directory.pushing(FilePath(Self.path(of: digest))), .writeOnly, options: [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try file.closeAfter { try Self.forEachPiece(of: blob) { _ = try file.writeAll($0) } }
        }
        try Files.writeAtomically(directory.appending("oci-layout"), documents.layout, mode: 0o644)
        try Files.writeAtomically(directory.appending("index.json"), documents.index, mode: 0o644)
    }

    private struct Documents {
        var layout: [UInt8]
        var index: [UInt8]
        /// docker's manifest.json, where there is an image that docker can load.
        var docker: [UInt8]?
        /// Sorted.
        var blobs: [Digest]
    }

    private struct LayoutFile: Encodable {
        let imageLayoutVersion = "1.0.0"
    }

    private struct DockerImage: Encodable {
        var config: String
        var repoTags: [String]
        var layers: [String]

        enum CodingKeys: String, CodingKey {
            case config = "Config"
            case repoTags = "RepoTags"
            case layers = "Layers"
        }
    }

    private func documents(of items: [Item]) throws -> Documents {
        var blobs: Set<Digest> = []
        var docker: [DockerImage] = []
        let descriptors = try items.map { item in
            let manifests = try collect(item.target, into: &blobs)
            if let manifest = manifests.first {
                docker.append(
                    DockerImage(
                        config: Self.path(of: manifest.config.digest), repoTags: item.name.map { [$0] } ?? [],
                        layers: manifest.layers.map { Self.path(of: $0.digest) }))
            }
            var descriptor = item.target
            if let name = item.name {
                var annotations = descriptor.annotations ?? [:]
                annotations[ImageAnnotation.containerdName] = name
                annotations[ImageAnnotation.refName] = (try? ImageReference(name))?.tag ?? name
                descriptor.annotations = annotations
            }
            return descriptor
        }
        return Documents(
            layout: try StrictJSON.encode(LayoutFile()),
            index: try StrictJSON.encode(Index(mediaType: .imageIndex, manifests: descriptors)),
            docker: docker.isEmpty ? nil : try StrictJSON.encode(docker),
            blobs: blobs.sorted { $0.description < $1.description })
    }

    /// Gathers all blobs that `target` needs.
    ///
    /// - Returns: its manifests.
    private func collect(_ target: Descriptor, into blobs: inout Set<Digest>, depth: Int = 0) throws -> [Manifest] {
        guard depth < 8 else { throw BerthError(.invalidArgument, "index \(target.digest) is nested more than 8 deep") }
        let bytes = try content.read(target, limit: ImageDocument.sizeLimit)
        blobs.insert(target.digest)
        switch try ImageDocument.decode(bytes, mediaType: target.mediaType, what: "manifest \(target.digest)") {
        case .manifest(let manifest):
            for descriptor in [manifest.config] + manifest.layers {
                guard content.contains(descriptor.digest) else {
                    throw BerthError.notFound("blob", descriptor.digest.description)
                }
                blobs.insert(descriptor.digest)
            }
            return [manifest]
        case .index(let index):
            // Of an index that was pulled for one platform, the other platforms' manifests are not there.
            let wanted = platform.flatMap { index.manifest(for: $0) }.map { [$0] } ?? index.manifests
            let present = wanted.filter { content.contains($0.digest) }
            guard !present.isEmpty else {
                throw BerthError(.notFound, "index \(target.digest) has no manifest in the content store")
            }
            return try present.flatMap { try collect($0, into: &blobs, depth: depth + 1) }
        }
    }

    private static func path(of digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }

    private static func forEachPiece(of blob: BlobReader, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var offset: Int64 = 0
        while offset < blob.size {
            let piece = try blob.read(at: offset, count: 1 << 20)
            guard !piece.isEmpty else { throw BerthError(.dataLoss, "blob \(blob.digest) ends at \(offset) of \(blob.size) bytes") }
            try piece.withUnsafeBytes(body)
            offset += Int64(piece.count)
        }
    }
}
