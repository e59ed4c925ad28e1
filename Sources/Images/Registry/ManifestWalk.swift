internal import Core
internal import OCISpec

/// Descends through indexes to the manifests that a pull wants; all documents on the way are stored.
struct ManifestWalk {
    typealias Found = (descriptor: Descriptor, manifest: Manifest)

    private static let depthLimit = 8
    /// Manifests of one image for all platforms.
    private static let manifestLimit = 256

    let reference: ImageReference
    let route: RegistryRoute
    let content: ContentStore
    private var seen: Set<Digest> = []
    private var all: [Found] = []

    init(reference: ImageReference, route: RegistryRoute, content: ContentStore) {
        self.reference = reference
        self.route = route
        self.content = content
    }

    private var what: String { "image \"\(reference)\"" }

    /// - Returns: the manifest that is the image, and all that are fetched with it.
    mutating func manifests(
        of target: Descriptor, _ bytes: [UInt8], platforms: PlatformChoice
    ) async throws -> (chosen: Found, all: [Manifest]) {
        switch platforms {
        case .only(let platform):
            let found = try await best(of: target, bytes, platform)
            return (found, [found.manifest])
        case .all:
            try await gather(target, bytes, depth: 0)
            guard let first = all.first else {
                throw BerthError(.notFound, "\(what) is an index of nothing")
            }
            let own = try? await best(of: target, bytes, .host)
            return (own ?? first, all.map { $0.manifest })
        }
    }

    private func best(of target: Descriptor, _ bytes: [UInt8], _ platform: Platform) async throws -> Found {
        var descriptor = target
        var bytes = bytes
        for _ in 0..<Self.depthLimit {
            switch try ImageDocument.decode(bytes, mediaType: descriptor.mediaType, what: what) {
            case .manifest(let manifest): return (descriptor, manifest)
            case .index(let index):
                guard let chosen = index.manifest(for: platform) else {
                    throw BerthError(.notFound, "\(what) has nothing for \(platform); it has \(Self.offer(of: index))")
                }
                bytes = try await document(chosen)
                descriptor = chosen
            }
        }
        throw tooDeep
    }

    private mutating func gather(_ descriptor: Descriptor, _ bytes: [UInt8], depth: Int) async throws {
        guard depth < Self.depthLimit else { throw tooDeep }
        guard seen.insert(descriptor.digest).inserted else { return }
        switch try ImageDocument.decode(bytes, mediaType: descriptor.mediaType, what: what) {
        case .manifest(let manifest):
            guard all.count < Self.manifestLimit else {
                throw BerthError(.resourceExhausted, "\(what) has more than \(Self.manifestLimit) manifests")
            }
            all.append((descriptor, manifest))
        case .index(let index):
            for child in index.manifests where child.mediaType.isManifest || child.mediaType.isIndex {
                try await gather(child, try await document(child), depth: depth + 1)
            }
        }
    }

    private func document(_ descriptor: Descriptor) async throws -> [UInt8] {
        if content.contains(descriptor.digest) {
            return try content.read(descriptor, limit: ImageDocument.sizeLimit)
        }
        let bytes = try await route.firstAnswer(what, that: .pull) {
            try await $0.manifest(
                descriptor.digest.description, expecting: descriptor.digest, size: descriptor.size, what: what)
        }.bytes
        try content.write(bytes, expecting: descriptor.digest)
        return bytes
    }

    private var tooDeep: BerthError {
        BerthError(.invalidArgument, "\(what) nests indexes more than \(Self.depthLimit) deep")
    }

    private static func offer(of index: Index) -> String {
        let platforms = Set(index.manifests.compactMap { $0.platform?.description }).sorted().joined(separator: ", ")
        return platforms.isEmpty ? "no platforms" : RegistryAddress.printable(platforms)
    }
}
