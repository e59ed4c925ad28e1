internal import ContainerdAPI
internal import Core
internal import OCISpec

/// The documents of an image in the daemon's content.
extension Connection {
    /// The manifest of an image, through an index where there is one; `nil` where parts of it are missing.
    func manifest(
        of target: Descriptor, platform: Platform
    ) async throws -> (descriptor: Descriptor, manifest: Manifest)? {
        var descriptor = target
        // An index may hold indices, but nobody nests them deeper.
        for _ in 0..<4 {
            guard try await blobInfo(descriptor.digest) != nil else { return nil }
            switch try await document(descriptor) {
            case .manifest(let manifest): return (descriptor, manifest)
            case .index(let index):
                guard let next = index.manifest(for: platform) else { return nil }
                descriptor = next
            }
        }
        throw BerthError(.invalidArgument, "image index \(target.digest) is nested too deep")
    }

    func document(_ descriptor: Descriptor) async throws -> ImageDocument {
        let bytes = try await readBlob(descriptor.digest, limit: ImageDocument.sizeLimit)
        return try ImageDocument.decode(
            bytes, mediaType: descriptor.mediaType, what: "content \(descriptor.digest)")
    }

    func config(of manifest: Manifest) async throws -> ImageConfig {
        let bytes = try await readBlob(manifest.config.digest, limit: ImageConfig.sizeLimit)
        return try ImageConfig.decode(bytes, what: "image config \(manifest.config.digest)")
    }

    /// What a document refers to, with the labels that keep it from garbage collection while the document is there.
    static func references(of document: ImageDocument) -> (children: [Descriptor], labels: [String: String]) {
        let prefix = "containerd.io/gc.ref.content"
        var labels: [String: String] = [:]
        switch document {
        case .manifest(let manifest):
            labels["\(prefix).config"] = "\(manifest.config.digest)"
            for (index, layer) in manifest.layers.enumerated() { labels["\(prefix).l.\(index)"] = "\(layer.digest)" }
            return ([manifest.config] + manifest.layers, labels)
        case .index(let index):
            for (number, manifest) in index.manifests.enumerated() {
                labels["\(prefix).m.\(number)"] = "\(manifest.digest)"
            }
            return (index.manifests, labels)
        }
    }
}

extension Descriptor {
    /// - Throws: `BerthError` (`invalidArgument`) for a malformed digest.
    init(_ message: Containerd_Types_Descriptor) throws {
        self.init(
            mediaType: MediaType(rawValue: message.mediaType), digest: try Digest(message.digest), size: message.size,
            annotations: message.annotations.isEmpty ? nil : message.annotations)
    }

    var message: Containerd_Types_Descriptor {
        .with {
            $0.mediaType = mediaType.rawValue
            $0.digest = "\(digest)"
            $0.size = size
            $0.annotations = annotations ?? [:]
        }
    }
}

/// Content that is written to the daemon under `TYPE-DIGEST`, as containerd's own client names its transfers.
func transferReference(_ descriptor: Descriptor) -> String {
    let kind =
        if descriptor.mediaType.isIndex {
            "index"
        } else if descriptor.mediaType.isManifest {
            "manifest"
        } else if descriptor.mediaType.isImageConfig {
            "config"
        } else {
            "layer"
        }
    return "\(kind)-\(descriptor.digest)"
}
