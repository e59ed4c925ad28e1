internal import AsyncHTTPClient
internal import Core
public import Logging
public import OCISpec
public import SystemPackage

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
        /// Directories with a `hosts.toml` for each registry, as containerd's certs.d; the first that has one counts. Before
        /// `mirrors`, which serve where there is none.
        public var hostsDirectories: [FilePath] = []
        /// Where they are by custom: ours, and containerd's.
        public static let usualHostsDirectories = ["/etc/berth/certs.d", "/etc/containerd/certs.d"]
        /// How hosts are reached; by default as the environment says.
        public var proxies = ProxySettings(environment: ProcessEnvironment.current)
        /// Bytes of a blob that are sent at a time; `nil` for all at once. Some registries refuse large requests.
        public var uploadChunk: Int64?
        /// Blobs of one pull or push that are transferred at once.
        public var concurrentBlobs = 3
        /// Blobs of all pulls that are transferred at once. Those of a registry that does not answer count too, so it is many.
        public var concurrentDownloads = 16
        /// Seconds without a byte after which a transfer is given up and tried again.
        public var stallTimeout: Int64 = 60
        /// Bytes a second that a blob has to bring over `stallTimeout`; slower counts as a stall. 0 takes anything.
        public var slowestTransfer: Int64 = 1024
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
    private let clients: HTTPClients
    /// The same blob wanted by two pulls is fetched once.
    let fetching = KeyedLock<Digest>()
    /// Of all pulls together.
    let downloads: Permits

    public init(
        configuration: Configuration = .init(),
        logger: Logger = Logger(label: "registry", factory: { _ in SwiftLogNoOpLogHandler() })
    ) {
        self.configuration = configuration
        self.logger = logger
        downloads = Permits(configuration.concurrentDownloads)
        clients = HTTPClients(stallTimeout: configuration.stallTimeout)
    }

    deinit {
        // An HTTP client must not be let go of while it is open; a second shutdown does nothing.
        let clients = clients
        Task { await clients.shutdown() }
    }

    /// Closes the connections; the client is not usable afterwards.
    public func shutdown() async {
        await clients.shutdown()
    }

    /// The client for an address that `host` is at or has named.
    func http(for url: String, of host: RegistryHost) throws -> HTTPClient {
        let isOwn = RegistryAddress.hostName(of: url) == RegistryAddress.hostName(of: host.address)
        var trust = isOwn ? host.trust : host.trust.forOthers
        if configuration.insecureTLS.contains(where: {
            $0.lowercased() == RegistryAddress.authority(of: url).lowercased()
        }) {
            trust.skipsVerification = true
        }
        return try clients.client(
            HTTPClients.Kind(
                trust: trust, proxy: configuration.proxies.proxy(for: url), dialTimeout: isOwn ? host.dialTimeout : nil)
        )
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
        try await pull(
            reference, platforms: .only(platform), credentials: credentials, into: content, progress: progress)
    }

    /// As ``pull(_:platform:credentials:into:progress:)``, for several platforms too.
    public func pull(
        _ reference: ImageReference, platforms: PlatformChoice, credentials: RegistryCredentials = .anonymous,
        into content: ContentStore, progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws -> PulledImage {
        let pull = try await begin(
            reference, platforms: platforms, credentials: credentials, into: content, progress: progress)
        try await pull.fetchBlobs()
        return pull.image
    }

    /// The first half of a pull: finds out what the reference means and stores the documents.
    public func begin(
        _ reference: ImageReference, platforms: PlatformChoice = .only(.host),
        credentials: RegistryCredentials = .anonymous,
        into content: ContentStore, progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws -> RegistryPull {
        let route = try route(to: reference, credentials)
        let (target, bytes) = try await document(reference, on: route)
        try content.write(bytes, expecting: target.digest)

        var walk = ManifestWalk(reference: reference, route: route, content: content)
        let found = try await walk.manifests(of: target, bytes, platforms: platforms)
        let image = PulledImage(
            reference: reference, target: target, manifest: found.chosen.descriptor,
            config: found.chosen.manifest.config, layers: found.chosen.manifest.layers)
        return try RegistryPull(
            image: image, blobs: found.all.flatMap { [$0.config] + $0.layers }, client: self, route: route,
            content: content, progress: progress)
    }

    /// Mirrors first, without credentials: those are for the registry.
    func route(to reference: ImageReference, _ credentials: RegistryCredentials) throws -> RegistryRoute {
        let sessions = try hosts(of: reference.domain).map { host in
            RegistrySession(
                client: self, host: host, repository: reference.repository,
                credentials: host.isMirror ? .anonymous : credentials)
        }
        return RegistryRoute(sessions, domain: reference.domain, logger: logger)
    }

    /// In the order in which they are asked.
    private func hosts(of domain: String) throws -> [RegistryHost] {
        let directory = HostsDirectory(roots: configuration.hostsDirectories)
        if let hosts = try directory.hosts(of: domain, configuration) { return hosts }
        let mirrors = try (configuration.mirrors[domain] ?? []).map { mirror in
            var host = try RegistryHost(mirror: mirror, configuration: configuration)
            host.domain = domain
            return host
        }
        return mirrors + [RegistryHost(domain: domain, configuration: configuration)]
    }

    /// The registry itself, or the first host that may be written to.
    func session(
        for reference: ImageReference, _ credentials: RegistryCredentials
    ) throws -> RegistrySession {
        try route(to: reference, credentials).first(that: .push)
    }

    /// The manifest or index that `reference` names.
    private func document(
        _ reference: ImageReference, on route: RegistryRoute
    ) async throws -> (target: Descriptor, bytes: [UInt8]) {
        let name = reference.digest?.description ?? reference.effectiveTag
        let what = "image \"\(reference)\""
        return try await route.firstAnswer(what, that: reference.digest == nil ? .resolve : .pull) {
            try await $0.manifest(name, expecting: reference.digest, what: what)
        }
    }
}

/// Of an index, what a pull brings.
public enum PlatformChoice: Sendable, Hashable {
    /// The manifest that fits best.
    case only(Platform)
    /// Every manifest; this machine's, if there is one, counts as the image.
    case all
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
public struct PullProgress: Sendable, Hashable {
    public enum State: String, Sendable {
        case waiting, downloading, exists, done
    }

    public let descriptor: Descriptor
    /// Bytes that are here.
    public let received: Int64
    public let state: State
}
