internal import AsyncHTTPClient
internal import Core
internal import NIOCore
internal import OCISpec
private import Synchronization

/// Requests to one repository at one host, with the credentials for it.
final class RegistrySession: Sendable {
    typealias Response = HTTPClientResponse

    let client: RegistryClient
    let host: RegistryHost
    let repository: String
    let credentials: RegistryCredentials
    private let base: String
    /// The `Authorization` value that worked last.
    private let authorization = Mutex<String?>(nil)

    /// - Parameter repository: as in a reference: `library/nginx`.
    init(client: RegistryClient, host: RegistryHost, repository: String, credentials: RegistryCredentials) {
        self.client = client
        self.host = host
        self.repository = repository
        self.credentials = credentials
        base = "\(host.api)/\(repository)/"
        if case .registryToken(let token) = credentials { authorization.withLock { $0 = "Bearer \(token)" } }
    }

    /// A mirror is not worth a wait: the next host is asked instead.
    var attempts: Int { host.isMirror ? 1 : max(client.configuration.attempts, 1) }

    /// A manifest or index by tag or digest, its digest verified.
    func manifest(
        _ name: String, expecting expected: Digest?, size: Int64? = nil, what: String
    ) async throws -> (target: Descriptor, bytes: [UInt8]) {
        let types = [MediaType.imageIndex, .imageManifest, .dockerManifestList, .dockerManifest]
        let (bytes, contentType) = try await client.retrying(what, attempts: attempts) {
            () async throws -> ([UInt8], String?) in
            let response = try await self.get(
                "manifests/\(name)", headers: [("Accept", types.map(\.rawValue).joined(separator: ", "))])
            guard response.status.code == 200 else { throw await self.failure(response, what: what) }
            return (
                try await self.client.document(response, limit: ImageDocument.sizeLimit, what: "manifest of \(what)"),
                response.headers.first(name: "Content-Type")
            )
        }
        if let size, size != Int64(bytes.count) {
            throw BerthError(.dataLoss, "manifest of \(what) has \(bytes.count) bytes instead of the announced \(size)")
        }
        let digest = try Digest.of(bytes, algorithm: expected?.algorithm ?? .sha256)
        if let expected, expected != digest {
            throw BerthError(.dataLoss, "manifest of \(what) has digest \(digest) instead of \(expected)")
        }
        let stated = contentType?.prefix { $0 != ";" }.filter { $0 != " " }
        let mediaType = stated.map { MediaType(rawValue: $0) }.flatMap { $0.isIndex || $0.isManifest ? $0 : nil }
        return (
            Descriptor(
                mediaType: try mediaType ?? ImageDocument.mediaType(of: bytes, what: "manifest of \(what)"),
                digest: digest,
                size: Int64(bytes.count)), bytes
        )
    }

    /// GET of a path below the repository.
    ///
    /// - Returns: the response, whatever its status.
    func get(_ path: String, headers: [(String, String)] = []) async throws -> Response {
        var request = request(path)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        return try await send(request)
    }

    /// A request for a path below the repository, or for an address that the registry gave.
    func request(_ path: String) -> HTTPClientRequest {
        if path.contains("://") { return HTTPClientRequest(url: path) }
        guard host.isMirror, !host.domain.isEmpty else { return HTTPClientRequest(url: base + path) }
        // A mirror of several registries has to know which one is meant; containerd names it so.
        let namespace = RegistryAddress.form([("ns", host.domain)])
        return HTTPClientRequest(url: "\(base)\(path)\(path.contains("?") ? "&" : "?")\(namespace)")
    }

    /// Sends a request, authenticated as the registry asks; redirects of what only reads are followed.
    ///
    /// - Parameter limit: until the head of the response is here.
    func send(_ request: HTTPClientRequest, limit: TimeAmount? = nil) async throws -> Response {
        let limit = limit ?? .seconds(2 * client.configuration.stallTimeout)
        let (response, isOwn) = try await follow(request, limit: limit)
        // A challenge of a host that the registry redirects to is none of ours: it would choose who sees the credentials.
        guard isOwn, response.status.code == 401,
            let challenge = Challenge.parse(response.headers["WWW-Authenticate"]),
            let answer = try await answer(to: challenge)
        else { return response }
        await client.drain(response)
        authorization.withLock { $0 = answer }
        return try await follow(request, limit: limit).response
    }

    private func follow(_ original: HTTPClientRequest, limit: TimeAmount) async throws -> (
        response: Response, isOwn: Bool
    ) {
        var url = original.url
        for _ in 0..<6 {
            var request = original
            request.url = url
            request.headers.add(name: "User-Agent", value: "berth")
            // To the registry alone, never to where it redirects.
            let isOwn = RegistryAddress.origin(of: url) == RegistryAddress.origin(of: base)
            if isOwn {
                for header in host.headers { request.headers.replaceOrAdd(name: header.name, value: header.value) }
                if let value = authorization.withLock({ $0 }) {
                    request.headers.replaceOrAdd(name: "Authorization", value: value)
                }
            }
            let response = try await client.execute(request, of: host, limit: limit)
            guard [301, 302, 303, 307, 308].contains(response.status.code),
                request.method == .GET || request.method == .HEAD,
                let location = response.headers.first(name: "Location")
            else { return (response, isOwn) }
            await client.drain(response)
            url = try encrypted(RegistryAddress.resolve(location, against: url))
        }
        throw BerthError(.unavailable, "registry \(host.name) redirects more than 5 times")
    }

    /// An address that the registry names, which has to be encrypted if the registry is.
    func encrypted(_ url: String) throws -> String {
        guard host.isPlain || RegistryAddress.hasScheme(url, "https") else {
            throw BerthError(
                .permissionDenied,
                "registry \(host.name) redirects to \"\(RegistryAddress.shown(url))\", which is not encrypted")
        }
        return url
    }
}
