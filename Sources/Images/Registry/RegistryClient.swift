internal import AsyncHTTPClient
public import Core
public import OCISpec

/// Pulls images from registries (distribution-spec 1.1, "Pull").
public final class RegistryClient: Sendable {
    public struct Configuration: Sendable {
        /// Hosts (with port) that are asked over plain HTTP; those of this machine always are.
        public var plainHTTP: Set<String> = []
        /// Blobs of one pull that are transferred at once.
        public var concurrentBlobs = 3
        /// Seconds without a byte after which a transfer is given up and tried again.
        public var stallTimeout: Int64 = 60
        /// Tries of one request that fails in a way that may pass.
        public var attempts = 5

        public init() {}
    }

    public let configuration: Configuration
    let http: HTTPClient
    /// The same blob wanted by two pulls is fetched once.
    let fetching = KeyedLock<Digest>()

    public init(configuration: Configuration = .init()) {
        self.configuration = configuration
        var settings = HTTPClient.Configuration()
        // Redirects are followed here, since credentials must not go to another host.
        settings.redirectConfiguration = .disallow
        settings.timeout.connect = .seconds(15)
        settings.timeout.read = .seconds(configuration.stallTimeout)
        settings.decompression = .disabled
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    /// Closes the connections; the client is not usable afterwards.
    public func shutdown() async {
        try? await http.shutdown()
    }

    /// Finds out what a reference means now.
    ///
    /// - Throws: `BerthError`: `notFound`, `unauthenticated`, `permissionDenied`, `unavailable`.
    public func resolve(
        _ reference: ImageReference, credentials: RegistryCredentials = .anonymous
    ) async throws -> Descriptor {
        try await document(reference, in: session(for: reference, credentials)).target
    }

    /// Fetches all blobs of an image for one platform that `content` does not have yet.
    ///
    /// What was fetched before a failure or cancellation stays in the store: the next pull goes on from there.
    ///
    /// - Parameter progress: told of each blob as it starts, grows and ends; from any thread.
    public func pull(
        _ reference: ImageReference, platform: Platform = .host, credentials: RegistryCredentials = .anonymous,
        into content: ContentStore, progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws -> PulledImage {
        let session = session(for: reference, credentials)
        let (target, bytes) = try await document(reference, in: session)
        try content.write(bytes, expecting: target.digest)

        let (descriptor, manifest) = try await self.manifest(
            of: target, bytes, platform: platform, reference: reference, session: session, content: content)
        let blobs = [manifest.config] + manifest.layers
        for blob in blobs { progress(PullProgress(descriptor: blob, received: 0, state: .waiting)) }
        try await fetch(blobs, session: session, into: content, progress: progress)
        return PulledImage(
            reference: reference, target: target, manifest: descriptor, config: manifest.config, layers: manifest.layers)
    }

    private func session(for reference: ImageReference, _ credentials: RegistryCredentials) -> RegistrySession {
        RegistrySession(client: self, domain: reference.domain, repository: reference.repository, credentials: credentials)
    }

    /// The manifest or index that `reference` names.
    private func document(
        _ reference: ImageReference, in session: RegistrySession
    ) async throws -> (target: Descriptor, bytes: [UInt8]) {
        let name = reference.digest?.description ?? reference.effectiveTag
        return try await session.manifest(name, expecting: reference.digest, what: "\(reference)")
    }

    /// Descends through indexes to the manifest of the platform; all documents on the way are stored.
    private func manifest(
        of target: Descriptor, _ bytes: [UInt8], platform: Platform, reference: ImageReference, session: RegistrySession,
        content: ContentStore
    ) async throws -> (Descriptor, Manifest) {
        var descriptor = target
        var bytes = bytes
        for _ in 0..<8 {
            switch try ImageDocument.decode(bytes, mediaType: descriptor.mediaType, what: "\(reference)") {
            case .manifest(let manifest): return (descriptor, manifest)
            case .index(let index):
                guard let chosen = index.manifest(for: platform) else {
                    let offered = index.manifests.compactMap { $0.platform?.description }.sorted().joined(separator: ", ")
                    throw BerthError(.notFound, "image \"\(reference)\" has nothing for \(platform); it has \(offered)")
                }
                if content.contains(chosen.digest) {
                    bytes = try content.read(chosen, limit: ImageDocument.sizeLimit)
                } else {
                    bytes = try await session.manifest(
                        chosen.digest.description, expecting: chosen.digest, size: chosen.size, what: "\(reference)"
                    ).bytes
                    try content.write(bytes, expecting: chosen.digest)
                }
                descriptor = chosen
            }
        }
        throw BerthError(.invalidArgument, "image \"\(reference)\" nests indexes more than 8 deep")
    }

    private func fetch(
        _ blobs: [Descriptor], session: RegistrySession, into content: ContentStore,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws {
        // An image may name one blob several times (an empty layer).
        var seen: Set<Digest> = []
        var queue = blobs.filter { seen.insert($0.digest).inserted }[...]
        try await withThrowingTaskGroup(of: Void.self) { group in
            func next() {
                guard let blob = queue.popFirst() else { return }
                group.addTask {
                    try await self.fetching.withLock(blob.digest) {
                        try await BlobFetch(blob: blob, session: session, content: content, progress: progress).run()
                    }
                }
            }
            for _ in 0..<configuration.concurrentBlobs { next() }
            while try await group.next() != nil { next() }
        }
    }
}

/// What a pull brought.
public struct PulledImage: Sendable {
    public let reference: ImageReference
    /// What the reference means: an index or a manifest.
    public let target: Descriptor
    /// The platform's manifest.
    public let manifest: Descriptor
    public let config: Descriptor
    /// Base layer first.
    public let layers: [Descriptor]
}

/// How far one blob of a pull is.
public struct PullProgress: Sendable {
    public enum State: Sendable {
        case waiting, downloading, exists, done
    }

    public let descriptor: Descriptor
    /// Bytes that are here.
    public let received: Int64
    public let state: State
}
