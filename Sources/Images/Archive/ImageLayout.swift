internal import Core
internal import OCISpec

/// The images of an OCI image layout (image-spec, image-layout.md).
struct ImageLayout<Files: ArchiveFiles> {
    let content: ContentStore
    let files: Files
    let baseName: String?
    /// Documents whose content is known to be whole: an index may name one many times, at every level.
    private var verified: Set<Digest> = []

    private struct LayoutFile: Decodable {
        var imageLayoutVersion: String
    }

    init(content: ContentStore, files: Files, baseName: String?) {
        self.content = content
        self.files = files
        self.baseName = baseName
    }

    /// - Parameter index: `index.json`.
    mutating func images(_ index: [UInt8]) throws -> [ImportedImage] {
        if let bytes = try files.document("oci-layout") {
            let layout = try StrictJSON.decode(LayoutFile.self, from: bytes, what: "oci-layout")
            guard layout.imageLayoutVersion.hasPrefix("1.") else {
                throw BerthError.invalid(
                    field: "oci-layout: imageLayoutVersion", value: layout.imageLayoutVersion,
                    rule: "is not supported; 1.x is")
            }
        }
        guard case .index(let index) = try ImageDocument.decode(index, mediaType: .imageIndex, what: "index.json")
        else {
            throw BerthError(.invalidArgument, "index.json is not an index")
        }
        var images: [(target: Descriptor, names: [String])] = []
        var positions: [Digest: Int] = [:]
        for descriptor in index.manifests where descriptor.mediaType.isIndex || descriptor.mediaType.isManifest {
            try requireContent(of: descriptor)
            var target = descriptor
            target.annotations = nil
            let names = try name(of: descriptor).map { [$0] } ?? []
            // One image under several names stands there once for each.
            if let known = positions[target.digest] {
                images[known].names += names.filter { !images[known].names.contains($0) }
            } else {
                positions[target.digest] = images.count
                images.append((target, names))
            }
        }
        guard !images.isEmpty else { throw BerthError(.invalidArgument, "index.json of the archive names no image") }
        return images.map { ImportedImage(names: $0.names, target: $0.target) }
    }

    private func name(of descriptor: Descriptor) throws -> String? {
        if let name = descriptor.annotations?[ImageAnnotation.containerdName] {
            return try ImageReference(name).withDefaultTag.description
        }
        guard let name = descriptor.annotations?[ImageAnnotation.refName] else { return nil }
        if name.contains("/") || name.contains(":") { return try ImageReference(name).withDefaultTag.description }
        return try baseName.map { try ImageReference("\($0):\(name)").description }
    }

    /// Puts everything that `descriptor` needs into the content store.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) that names the first blob that an image needs and the archive lacks.
    private mutating func requireContent(of descriptor: Descriptor, depth: Int = 0) throws {
        guard depth < 8 else {
            throw BerthError(.invalidArgument, "index \(descriptor.digest) is nested more than 8 deep")
        }
        let what = "manifest \(descriptor.digest)"
        guard try files.stored(ArchivePath.blob(descriptor.digest)) != nil else {
            throw BerthError(.invalidArgument, "the archive lacks \(what)")
        }
        guard verified.insert(descriptor.digest).inserted else { return }
        let bytes = try content.read(descriptor, limit: ImageDocument.sizeLimit)
        switch try ImageDocument.decode(bytes, mediaType: descriptor.mediaType, what: what) {
        case .manifest(let manifest):
            for blob in [manifest.config] + manifest.layers {
                guard let file = try files.stored(ArchivePath.blob(blob.digest)) else {
                    throw BerthError(.invalidArgument, "the archive lacks blob \(blob.digest) of \(what)")
                }
                guard file.size == blob.size else {
                    throw BerthError(
                        .invalidArgument,
                        "blob \(blob.digest) has \(file.size) bytes instead of the \(blob.size) that \(what) says")
                }
            }
        case .index(let index):
            // Of an index that was pulled for one platform, the other platforms' manifests are not there.
            let present = try index.manifests.filter { try files.stored(ArchivePath.blob($0.digest)) != nil }
            guard !present.isEmpty else {
                throw BerthError(.invalidArgument, "the archive has no manifest of index \(descriptor.digest)")
            }
            for manifest in present { try requireContent(of: manifest, depth: depth + 1) }
        }
    }
}
