internal import AsyncHTTPClient
internal import Core
internal import NIOCore
internal import OCISpec
private import Synchronization

/// Requests to one repository of one registry, with the credentials for it.
final class RegistrySession: Sendable {
    typealias Response = HTTPClientResponse

    let client: RegistryClient
    /// As in the reference: `docker.io`.
    let domain: String
    private let repository: String
    private let credentials: RegistryCredentials
    private let base: String
    private let isPlain: Bool
    /// The `Authorization` value that worked last.
    private let authorization = Mutex<String?>(nil)

    init(client: RegistryClient, domain: String, repository: String, credentials: RegistryCredentials) {
        self.client = client
        self.domain = domain
        self.repository = repository
        self.credentials = credentials
        isPlain = client.configuration.plainHTTP.contains(domain) || Self.isLocal(domain)
        // Docker Hub's API has another name than its images.
        let host = domain == "docker.io" ? "registry-1.docker.io" : domain
        base = "\(isPlain ? "http" : "https")://\(host)/v2/\(repository)/"
        if case .registryToken(let token) = credentials { authorization.withLock { $0 = "Bearer \(token)" } }
    }

    static func isLocal(_ domain: String) -> Bool {
        let host = domain.hasPrefix("[") ? String(domain.prefix { $0 != "]" }.dropFirst()) : String(domain.prefix { $0 != ":" })
        return host == "localhost" || host == "::1" || (host.hasPrefix("127.") && host.allSatisfy { $0 == "." || $0.isNumber })
    }

    /// A manifest or index by tag or digest, its digest verified.
    func manifest(
        _ name: String, expecting expected: Digest?, size: Int64? = nil, what: String
    ) async throws -> (target: Descriptor, bytes: [UInt8]) {
        let types = [MediaType.imageIndex, .imageManifest, .dockerManifestList, .dockerManifest]
        let (bytes, contentType) = try await client.retrying(what) { () async throws -> ([UInt8], String?) in
            let response = try await self.get(
                "manifests/\(name)", headers: [("Accept", types.map(\.rawValue).joined(separator: ", "))])
            guard response.status.code == 200 else { throw await self.failure(response, what: "image \"\(what)\"") }
            return (
                try await Self.body(response, limit: ImageDocument.sizeLimit, what: "manifest of \(what)"),
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
                mediaType: try mediaType ?? ImageDocument.mediaType(of: bytes, what: "manifest of \(what)"), digest: digest,
                size: Int64(bytes.count)), bytes
        )
    }

    /// GET of a path below the repository, authenticated as the registry asks, redirects followed.
    ///
    /// - Returns: the response, whatever its status.
    func get(_ path: String, headers: [(String, String)]) async throws -> Response {
        let response = try await send(base + path, headers: headers)
        guard response.status.code == 401,
            let challenge = Challenge.parse(response.headers["WWW-Authenticate"]),
            let answer = try await answer(to: challenge)
        else { return response }
        try await Self.drain(response)
        authorization.withLock { $0 = answer }
        return try await send(base + path, headers: headers)
    }

    private func send(_ address: String, headers: [(String, String)]) async throws -> Response {
        var url = address
        for _ in 0..<6 {
            var request = HTTPClientRequest(url: url)
            request.headers.add(name: "User-Agent", value: "berth")
            for (name, value) in headers { request.headers.add(name: name, value: value) }
            // To the registry alone, never to where it redirects.
            if Self.origin(of: url) == Self.origin(of: base), let value = authorization.withLock({ $0 }) {
                request.headers.add(name: "Authorization", value: value)
            }
            let response = try await client.execute(request)
            guard [301, 302, 303, 307, 308].contains(response.status.code),
                let location = response.headers.first(name: "Location")
            else { return response }
            try await Self.drain(response)
            url = try Self.resolve(location, against: url)
            guard isPlain || url.hasPrefix("https://") else {
                throw BerthError(.permissionDenied, "registry \(domain) redirects to \"\(url)\", which is not encrypted")
            }
        }
        throw BerthError(.unavailable, "registry \(domain) redirects more than 5 times")
    }

    // MARK: - Authentication

    private struct TokenAnswer: Decodable {
        var token: String?
        var access_token: String?
    }

    /// The `Authorization` value for a challenge; `nil` where there is nothing to show.
    private func answer(to challenge: Challenge) async throws -> String? {
        switch (challenge, credentials) {
        case (_, .registryToken): return nil
        case (.basic, .basic(let username, let password)):
            return RegistryCredentials.basicHeader(username: username, password: password)
        case (.basic, _): return nil
        case (.bearer(let realm, let service, let scope), _):
            return "Bearer " + (try await token(realm: realm, service: service, scope: scope))
        }
    }

    private func token(realm: String, service: String?, scope: String?) async throws -> String {
        guard realm.hasPrefix("https://") || (isPlain && realm.hasPrefix("http://")) else {
            throw BerthError(
                .permissionDenied, "registry \(domain) names token server \"\(realm)\", which is not encrypted")
        }
        var fields = [("scope", scope ?? "repository:\(repository):pull")]
        if let service { fields.append(("service", service)) }
        var request: HTTPClientRequest
        if case .identityToken(let refresh) = credentials {
            request = HTTPClientRequest(url: realm)
            request.method = .POST
            request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
            fields += [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "berth")]
            request.body = .bytes(ByteBuffer(string: Self.form(fields)))
        } else {
            request = HTTPClientRequest(url: realm + (realm.contains("?") ? "&" : "?") + Self.form(fields))
            if case .basic(let username, let password) = credentials {
                request.headers.add(
                    name: "Authorization", value: RegistryCredentials.basicHeader(username: username, password: password))
            }
        }
        request.headers.add(name: "User-Agent", value: "berth")
        let response = try await client.execute(request)
        guard response.status.code == 200 else { throw await failure(response, what: "token of \(realm)") }
        let bytes = try await Self.body(response, limit: 1 << 20, what: "token of \(realm)")
        let answer = try StrictJSON.decode(TokenAnswer.self, from: bytes, what: "token of \(realm)", limit: 1 << 20)
        guard let token = answer.token ?? answer.access_token, !token.isEmpty else {
            throw BerthError(.unauthenticated, "token server \(realm) answered without a token")
        }
        return token
    }

    // MARK: - Responses

    private struct RegistryErrors: Decodable {
        struct Entry: Decodable {
            var code: String?
            var message: String?
        }
        var errors: [Entry]?
    }

    /// The error that an unexpected status means, with the registry's own words.
    func failure(_ response: Response, what: String) async -> any Error {
        let bytes = (try? await Self.body(response, limit: 64 << 10, what: "error")) ?? []
        let known = try? StrictJSON.decode(RegistryErrors.self, from: bytes, what: "error", limit: 64 << 10)
        let words = (known?.errors ?? []).compactMap { $0.message ?? $0.code }.joined(separator: "; ").prefix(500)
        let status = "\(response.status.code) \(response.status.reasonPhrase)"
        let detail = words.isEmpty ? status : "\(status): \(words)"
        switch response.status.code {
        case 401:
            return BerthError(
                .unauthenticated, "\(what): registry \(domain) wants other credentials (\(detail))",
                advice: credentials == .anonymous ? "log in, or check the name: a private image looks like this too" : nil)
        case 403: return BerthError(.permissionDenied, "\(what): registry \(domain) refused (\(detail))")
        case 404: return BerthError(.notFound, "\(what) does not exist in registry \(domain) (\(detail))")
        case 408, 425, 429, 500...599:
            return TransientFailure(
                "registry \(domain) answered \(detail)",
                retryAfter: response.headers.first(name: "Retry-After").flatMap { Int($0) })
        default: return BerthError(.unavailable, "\(what): registry \(domain) answered \(detail)")
        }
    }

    private static func body(_ response: Response, limit: Int, what: String) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await buffer in response.body {
            guard bytes.count + buffer.readableBytes <= limit else {
                throw BerthError(.resourceExhausted, "\(what) is larger than \(limit) bytes")
            }
            bytes += buffer.readableBytesView
        }
        return bytes
    }

    /// Reads a short body to its end, so that the connection can be used again.
    private static func drain(_ response: Response) async throws {
        _ = try? await body(response, limit: 64 << 10, what: "answer")
    }

    // MARK: - Addresses

    /// `scheme://host:port` of a URL.
    static func origin(of url: String) -> Substring {
        guard let scheme = url.firstRange(of: "://") else { return url[...] }
        let end = url[scheme.upperBound...].firstIndex { "/?#".contains($0) } ?? url.endIndex
        return url[..<end]
    }

    /// A `Location` may be relative (RFC 9110, section 10.2.2).
    static func resolve(_ location: String, against url: String) throws -> String {
        if location.hasPrefix("http://") || location.hasPrefix("https://") { return location }
        if location.hasPrefix("//") { return url.prefix { $0 != ":" } + ":" + location }
        guard location.hasPrefix("/") else {
            throw BerthError(.unavailable, "redirect to \"\(location.prefix(200))\" is not understood")
        }
        return origin(of: url) + location
    }

    static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\($0.0)=\(escaped($0.1))" }.joined(separator: "&")
    }

    private static func escaped(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF")
        return text.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            let plain = character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
            return plain ? String(character) : "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
        }.joined()
    }
}
