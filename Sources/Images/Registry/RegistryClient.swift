internal import AsyncHTTPClient
internal import Core
public import Logging
internal import NIOSSL
public import OCISpec

/// Pulls images from registries and pushes them (distribution-spec 1.1).
public final class RegistryClient: Sendable {
    public struct Configuration: Sendable {
        /// Hosts (with port) that are asked over plain HTTP; those of this machine always are.
        public var plainHTTP: Set<String> = []
        /// Hosts (with port) whose certificate is not checked.
        public var insecureTLS: Set<String> = []
        /// By registry host: where to ask first, in order; `[http[s]://]HOST[:PORT][/PREFIX]` each. Mirrors get no
        /// credentials.
        public var mirrors: [String: [String]] = [:]
        /// Blobs of one pull that are transferred at once.
        public var concurrentBlobs = 3
        /// Seconds without a byte after which a transfer is given up and tried again.
        public var stallTimeout: Int64 = 60
        /// Tries of one request that fails in a way that may pass.
        public var attempts = 5
        /// The pause after the first failure; it doubles with each.
        public var backoff = Duration.milliseconds(500)

        public init() {}

        /// - Throws: `BerthError` (`invalidArgument`) that names the registry and the mirror.
        public func validate() throws {
            for (domain, mirrors) in mirrors.sorted(by: { $0.key < $1.key }) {
                do {
                    for mirror in mirrors { _ = try RegistryHost(mirror: mirror, configuration: self) }
                } catch {
                    throw BerthError.wrapping(error, "registry \(domain)")
                }
            }
        }
    }

    public let configuration: Configuration
    private let logger: Logger
    private let verifying: HTTPClient
    /// For the hosts of `insecureTLS` alone.
    private let trusting: HTTPClient?
    private let trusted: Set<String>
    /// The same blob wanted by two pulls is fetched once.
    let fetching = KeyedLock<Digest>()

    public init(
        configuration: Configuration = .init(),
        logger: Logger = Logger(label: "registry", factory: { _ in SwiftLogNoOpLogHandler() })
    ) {
        self.configuration = configuration
        self.logger = logger
        trusted = Set(configuration.insecureTLS.map { RegistryHost.apiHost(of: $0).lowercased() })
        var settings = HTTPClient.Configuration()
        // Redirects are followed by RegistrySession, since credentials must not go to another host.
        settings.redirectConfiguration = .disallow
        settings.timeout.connect = .seconds(15)
        settings.timeout.read = .seconds(configuration.stallTimeout)
        settings.decompression = .disabled
        // What fails is tried again here, with a reason to tell.
        settings.connectionPool.retryConnectionEstablishment = false
        verifying = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        if trusted.isEmpty {
            trusting = nil
        } else {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.certificateVerification = .none
            settings.tlsConfiguration = tls
            trusting = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        }
    }

    deinit {
        // An HTTP client must not be let go of while it is open; a second shutdown does nothing.
        let (verifying, trusting) = (verifying, trusting)
        Task {
            try? await verifying.shutdown()
            try? await trusting?.shutdown()
        }
    }

    /// Closes the connections; the client is not usable afterwards.
    public func shutdown() async {
        try? await verifying.shutdown()
        try? await trusting?.shutdown()
    }

    func http(for url: String) -> HTTPClient {
        guard let trusting, trusted.contains(RegistryAddress.authority(of: url).lowercased()) else { return verifying }
        return trusting
    }

    /// Finds out what a reference means now.
    ///
    /// - Throws: `BerthError`: `notFound`, `unauthenticated`, `permissionDenied`, `unavailable`.
    public func resolve(
        _ reference: ImageReference, credentials: RegistryCredentials = .anonymous
    ) async throws -> Descriptor {
        try await document(reference, on: route(to: reference, credentials)).target
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
        let pull = try await begin(
            reference, platform: platform, credentials: credentials, into: content, progress: progress)
        try await pull.fetchBlobs()
        return pull.image
    }

    /// The first half of a pull: finds out what the reference means and stores the documents.
    public func begin(
        _ reference: ImageReference, platform: Platform = .host, credentials: RegistryCredentials = .anonymous,
        into content: ContentStore, progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws -> RegistryPull {
        let route = try route(to: reference, credentials)
        let (target, bytes) = try await document(reference, on: route)
        try content.write(bytes, expecting: target.digest)

        let (descriptor, manifest) = try await self.manifest(
            of: target, bytes, platform: platform, reference: reference, route: route, content: content)
        let image = PulledImage(
            reference: reference, target: target, manifest: descriptor, config: manifest.config, layers: manifest.layers
        )
        return try RegistryPull(
            image: image, blobs: [manifest.config] + manifest.layers, client: self, route: route, content: content,
            progress: progress)
    }

    /// Mirrors first, without credentials: those are for the registry.
    private func route(to reference: ImageReference, _ credentials: RegistryCredentials) throws -> RegistryRoute {
        let mirrors = try (configuration.mirrors[reference.domain] ?? []).map { mirror in
            RegistrySession(
                client: self, host: try RegistryHost(mirror: mirror, configuration: configuration),
                repository: reference.repository, credentials: .anonymous)
        }
        return RegistryRoute(mirrors + [session(for: reference, credentials)], logger: logger)
    }

    func session(for reference: ImageReference, _ credentials: RegistryCredentials) -> RegistrySession {
        RegistrySession(
            client: self, host: RegistryHost(domain: reference.domain, configuration: configuration),
            repository: reference.repository, credentials: credentials)
    }

    /// The manifest or index that `reference` names.
    private func document(
        _ reference: ImageReference, on route: RegistryRoute
    ) async throws -> (target: Descriptor, bytes: [UInt8]) {
        let name = reference.digest?.description ?? reference.effectiveTag
        let what = "image \"\(reference)\""
        return try await route.firstAnswer(what) {
            try await $0.manifest(name, expecting: reference.digest, what: what)
        }
    }

    /// Descends through indexes to the manifest of the platform; all documents on the way are stored.
    private func manifest(
        of target: Descriptor, _ bytes: [UInt8], platform: Platform, reference: ImageReference, route: RegistryRoute,
        content: ContentStore
    ) async throws -> (Descriptor, Manifest) {
        let what = "image \"\(reference)\""
        var descriptor = target
        var bytes = bytes
        for _ in 0..<8 {
            switch try ImageDocument.decode(bytes, mediaType: descriptor.mediaType, what: what) {
            case .manifest(let manifest): return (descriptor, manifest)
            case .index(let index):
                guard let chosen = index.manifest(for: platform) else {
                    throw BerthError(.notFound, "\(what) has nothing for \(platform); it has \(Self.offer(of: index))")
                }
                if content.contains(chosen.digest) {
                    bytes = try content.read(chosen, limit: ImageDocument.sizeLimit)
                } else {
                    bytes = try await route.firstAnswer(what) {
                        try await $0.manifest(
                            chosen.digest.description, expecting: chosen.digest, size: chosen.size, what: what)
                    }.bytes
                    try content.write(bytes, expecting: chosen.digest)
                }
                descriptor = chosen
            }
        }
        throw BerthError(.invalidArgument, "\(what) nests indexes more than 8 deep")
    }

    private static func offer(of index: Index) -> String {
        let platforms = Set(index.manifests.compactMap { $0.platform?.description }).sorted().joined(separator: ", ")
        return platforms.isEmpty ? "no platforms" : RegistryAddress.printable(platforms)
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
