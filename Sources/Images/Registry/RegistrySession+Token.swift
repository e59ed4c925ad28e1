internal import AsyncHTTPClient
internal import Core
internal import NIOCore
internal import OCISpec

extension RegistrySession {
    private static let tokenLimit = 1 << 20

    private struct TokenAnswer: Decodable {
        var token: String?
        var access_token: String?
    }

    /// The `Authorization` value for a challenge; `nil` where there is nothing to show.
    func answer(to challenge: Challenge) async throws -> String? {
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
        let shown = RegistryAddress.shown(realm)
        let isEncrypted = RegistryAddress.hasScheme(realm, "https")
        guard isEncrypted || (host.isPlain && RegistryAddress.hasScheme(realm, "http")) else {
            throw BerthError(
                .permissionDenied, "registry \(host.name) names token server \"\(shown)\", which is not encrypted")
        }
        let response = try await client.execute(
            tokenRequest(realm: realm, service: service, scope: scope ?? "repository:\(repository):pull"),
            of: host, limit: .seconds(client.configuration.stallTimeout))
        guard response.status.code == 200 else { throw await failure(response, what: "token of \(shown)") }
        let bytes = try await client.document(response, limit: Self.tokenLimit, what: "token of \(shown)")
        let answer = try StrictJSON.decode(
            TokenAnswer.self, from: bytes, what: "token of \(shown)", limit: Self.tokenLimit)
        guard let token = [answer.token, answer.access_token].compactMap({ $0 }).first(where: { !$0.isEmpty }) else {
            throw BerthError(.unauthenticated, "token server \(shown) answered without a token")
        }
        // RFC 6750, section 2.1; anything else could end the header and begin another.
        guard token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw BerthError(.unauthenticated, "token server \(shown) answered with a token that is not printable")
        }
        return token
    }

    private func tokenRequest(realm: String, service: String?, scope: String) -> HTTPClientRequest {
        var fields = [("scope", scope)]
        if let service { fields.append(("service", service)) }
        var request: HTTPClientRequest
        if case .identityToken(let refresh) = credentials {
            request = HTTPClientRequest(url: realm)
            request.method = .POST
            request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
            fields += [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "berth")]
            request.body = .bytes(ByteBuffer(string: RegistryAddress.form(fields)))
        } else {
            request = HTTPClientRequest(url: realm + (realm.contains("?") ? "&" : "?") + RegistryAddress.form(fields))
            if case .basic(let username, let password) = credentials {
                request.headers.add(
                    name: "Authorization",
                    value: RegistryCredentials.basicHeader(username: username, password: password))
            }
        }
        request.headers.add(name: "User-Agent", value: "berth")
        return request
    }
}
