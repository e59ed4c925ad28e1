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
            try tar.begin(TarEntry(path: Array(ArchivePath.blob(digest).utf8), size: blob.size))
            try Self.forEachPiece(of: blob) { try tar.write($0) }
            try tar.end()
        }
        try tar.finish()
    }

    /// Writes an image layout into a directory, which is made.
    ///
    /// - Throws: `BerthError` (`notFound`) that names the blob that is missing.
    public func write(_ items: [Item], toDirectory directory: FilePath) throws {
        let documents = try documents(of: items)
        for algorithm in Set(documents.blobs.map(\.algorithm.rawValue)) {
            try Files.makeDirectories(directory.appending("blobs").appending(algorithm))
        }
        for digest in documents.blobs {
            // The file has its name only when it is whole.
            let path = directory.pushing(FilePath(ArchivePath.blob(digest)))
            let partial = FilePath("\(path).partial")
            let file = try FileDescriptor.open(
                partial, .writeOnly, options: [.create, .truncate, .noFollow, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            do {
                let blob = try content.open(digest)
                try file.closeAfter { try Self.forEachPiece(of: blob) { _ = try file.writeAll($0) } }
                try EntryCalls.rename(partial, to: path)
            } catch {
                try? EntryCalls.unlink(partial)
                throw error
            }
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

    private func documents(of items: [Item]) throws -> Documents {
        var blobs: Set<Digest> = []
        var docker = DockerContents()
        let descriptors = try items.map { item in
            try collect(item.target, into: &blobs)
            if let manifest = try dockerManifest(of: item.target) { docker.add(manifest, name: item.name) }
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
            docker: docker.images.isEmpty ? nil : try StrictJSON.encode(docker.images),
            blobs: blobs.sorted { $0.description < $1.description })
    }

    /// Gathers all blobs that `target` needs.
    private func collect(_ target: Descriptor, into blobs: inout Set<Digest>, depth: Int = 0) throws {
        // An index may name one manifest many times, at every level.
        guard !blobs.contains(target.digest) else { return }
        switch try document(target, depth: depth) {
        case .manifest(let manifest):
            for descriptor in [manifest.config] + manifest.layers {
                guard content.contains(descriptor.digest) else {
                    throw BerthError.notFound("blob", descriptor.digest.description)
                }
                blobs.insert(descriptor.digest)
            }
        case .index(let index):
            for child in try children(of: index, target) { try collect(child, into: &blobs, depth: depth + 1) }
        }
        blobs.insert(target.digest)
    }

    /// The manifests of an index that are exported with it.
    private func children(of index: Index, _ target: Descriptor) throws -> [Descriptor] {
        if let platform {
            guard let wanted = index.manifest(for: platform) else {
                throw BerthError(.notFound, "index \(target.digest) has nothing for \(platform)")
            }
            return [wanted]
        }
        // Of an index that was pulled for one platform, the other platforms' manifests are not there.
        let present = index.manifests.filter { content.contains($0.digest) }
        guard !present.isEmpty else {
            throw BerthError(.notFound, "index \(target.digest) has no manifest in the content store")
        }
        return present
    }

    /// The one manifest that docker is to see of `target`: it knows no indexes.
    private func dockerManifest(of target: Descriptor) throws -> Manifest? {
        var descriptor = target
        for depth in 0..<8 {
            switch try document(descriptor, depth: depth) {
            case .manifest(let manifest):
                let isImage = manifest.config.mediaType.isImageConfig && manifest.layers.allSatisfy(\.mediaType.isLayer)
                return isImage ? manifest : nil
            case .index(let index):
                let present = index.manifests.filter { content.contains($0.digest) }
                let choice = Index(manifests: present).manifest(for: platform ?? .host) ?? present.first
                guard let choice else { return nil }
                descriptor = choice
            }
        }
        return nil
    }

    private func document(_ descriptor: Descriptor, depth: Int) throws -> ImageDocument {
        guard depth < 8 else {
            throw BerthError(.invalidArgument, "index \(descriptor.digest) is nested more than 8 deep")
        }
        return try ImageDocument.decode(
            content.read(descriptor, limit: ImageDocument.sizeLimit), mediaType: descriptor.mediaType,
            what: "manifest \(descriptor.digest)")
    }

    private static func forEachPiece(of blob: BlobReader, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var offset: Int64 = 0
        while offset < blob.size {
            let piece = try blob.read(at: offset, count: 1 << 20)
            guard !piece.isEmpty else {
                throw BerthError(.dataLoss, "blob \(blob.digest) ends at \(offset) of \(blob.size) bytes")
            }
            try piece.withUnsafeBytes(body)
            offset += Int64(piece.count)
        }
    }
}

/// `manifest.json`: an image under several names is one entry.
private struct DockerContents {
    private(set) var images: [DockerImage] = []
    private var positions: [Manifest: Int] = [:]

    mutating func add(_ manifest: Manifest, name: String?) {
        let tags = name.flatMap(Self.tag).map { [$0] } ?? []
        if let known = positions[manifest] {
            images[known].repoTags = (images[known].repoTags ?? []) + tags
            return
        }
        positions[manifest] = images.count
        images.append(
            DockerImage(
                config: ArchivePath.blob(manifest.config.digest), repoTags: tags,
                layers: manifest.layers.map { ArchivePath.blob($0.digest) }))
    }

    /// A name with a digest, or that is no reference at all, has no place among tags.
    private static func tag(_ name: String) -> String? {
        guard let reference = try? ImageReference(name).withDefaultTag, reference.digest == nil else { return nil }
        return reference.description
    }
}
