internal import Core
internal import LinuxKernel
internal import OCISpec
internal import Synchronization
internal import Testing

@testable internal import Images

/// Who sees which credentials.
struct RegistryTokenTests {
    static let basic = RegistryCredentials.basic(username: "ann", password: "pass:word")
    /// base64("ann:pass:word")
    static let basicHeader = "Basic YW5uOnBhc3M6d29yZA=="

    /// A registry that wants the token that its token server gives.
    struct Guarded {
        let registry: ScriptedServer
        let tokens: ScriptedServer

        init(
            _ image: FakeImage, accepts: @escaping @Sendable (String?) -> Bool,
            token: @escaping @Sendable (ScriptedServer.Request) -> ScriptedServer.Reply
        ) throws {
            let tokens = try ScriptedServer(token)
            let host = tokens.host
            registry = try ScriptedServer { request in
                if accepts(request.headers["authorization"]) { return image.reply(to: request) }
                return .text(
                    401, #"{"errors":[{"code":"UNAUTHORIZED"}]}"#,
                    [("WWW-Authenticate", "Bearer realm=\"http://\(host)/token\",service=\"the service\"")])
            }
            self.tokens = tokens
        }
    }

    @Test("a token is fetched with the credentials, for service and scope, and used")
    func token() async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { $0 == "Bearer good" }) { _ in
            .text(200, #"{"token":"good"}"#)
        }
        _ = try await Self.pull(guarded.registry, Self.basic)
        #expect(guarded.tokens.requests.count == 1)
        #expect(guarded.tokens.requests.first?.query == "scope=repository%3Abox%3Apull&service=the%20service")
        #expect(guarded.tokens.requests.first?.headers["authorization"] == Self.basicHeader)
        // The password is for the token server alone.
        #expect(guarded.registry.requests.allSatisfy { $0.headers["authorization"] != Self.basicHeader })
    }

    @Test("an anonymous pull fetches a token without credentials")
    func anonymous() async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { $0 == "Bearer good" }) { _ in
            .text(200, #"{"access_token":"good"}"#)
        }
        _ = try await Self.pull(guarded.registry, .anonymous)
        #expect(guarded.tokens.requests.first?.headers["authorization"] == nil)
    }

    @Test("an identity token is exchanged in a form, never in the address")
    func identityToken() async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { $0 == "Bearer good" }) { _ in
            .text(200, #"{"access_token":"good"}"#)
        }
        _ = try await Self.pull(guarded.registry, .identityToken("re fresh"))
        let request = try #require(guarded.tokens.requests.first)
        #expect(request.method == "POST")
        #expect(request.query.isEmpty)
        #expect(
            String(decoding: request.body, as: UTF8.self)
                == "scope=repository%3Abox%3Apull&service=the%20service&grant_type=refresh_token&refresh_token=re%20fresh&client_id=berth"
        )
    }

    @Test("a registry token is sent as it is")
    func registryToken() async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { $0 == "Bearer mine" }) { _ in .text(500, "") }
        _ = try await Self.pull(guarded.registry, .registryToken("mine"))
        #expect(guarded.tokens.requests.isEmpty)
    }

    @Test("a token that expires in the middle of a pull is fetched again")
    func expiry() async throws {
        let image = try FakeImage(layers: [1000, 1000, 1000, 1000])
        let uses = Mutex<[String: Int]>([:])
        let issued = Counter()
        let guarded = try Guarded(
            image,
            accepts: { header in
                guard let header else { return false }
                return uses.withLock {
                    $0[header, default: 0] += 1
                    return $0[header, default: 0] <= 2
                }
            }
        ) { _ in .text(200, "{\"token\":\"t\(issued.next())\"}") }
        let content = try TestContent()
        _ = try await RegistryClient.with({ $0.concurrentBlobs = 1 }) { client in
            try await client.pull(
                ImageReference("\(guarded.registry.host)/box:v1"), credentials: Self.basic, into: content.store)
        }
        #expect(issued.count == 3)
    }

    @Test("a token that is not accepted is not asked for again and again")
    func wrongToken() async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { _ in false }) { _ in .text(200, #"{"token":"bad"}"#) }
        let error = await failure { _ = try await Self.pull(guarded.registry, Self.basic) }
        #expect(error?.code == .unauthenticated)
        #expect(guarded.tokens.requests.count == 1)
        #expect(guarded.registry.requests.count == 2)
    }

    @Test("refused credentials are an error of their own, with advice for who has shown none")
    func refusedCredentials() async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { _ in false }) { _ in .text(401, "") }
        let shown = await failure { _ = try await Self.pull(guarded.registry, Self.basic) }
        #expect(shown?.code == .unauthenticated)
        #expect(shown?.advice == nil)
        let anonymous = await failure { _ = try await Self.pull(guarded.registry, .anonymous) }
        #expect(anonymous?.code == .unauthenticated)
        #expect(anonymous?.advice?.contains("log in") == true)
    }

    @Test(
        "a token server that makes no sense",
        arguments: [
            ("{}", "without a token"), (#"{"token":""}"#, "without a token"), ("[1]", "token of http://"),
            ("", "no valid JSON"),
            (#"{"token":"a\r\nX-Evil: 1"}"#, "not printable"), (#"{"token":"a b"}"#, "not printable"),
        ])
    func senselessTokens(body: String, words: String) async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { _ in false }) { _ in .text(200, body) }
        let error = await failure { _ = try await Self.pull(guarded.registry, Self.basic) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("a token without an end is bounded")
    func endlessToken() async throws {
        let guarded = try Guarded(try FakeImage(), accepts: { _ in false }) { _ in .init(ending: .endless) }
        let error = await failure { _ = try await Self.pull(guarded.registry, Self.basic) }
        #expect(error?.code == .resourceExhausted)
    }

    @Test("credentials do not follow a redirect to another host")
    func redirect() async throws {
        let image = try FakeImage()
        let storage = try ScriptedServer { image.reply(to: $0) }
        let elsewhere = storage.host
        let registry = try ScriptedServer { request in
            guard request.headers["authorization"] == Self.basicHeader else {
                return .text(401, "", [("WWW-Authenticate", "Basic realm=\"x\"")])
            }
            if request.path.contains("/manifests/") { return image.reply(to: request) }
            return .text(307, "", [("Location", "http://\(elsewhere)/bucket\(request.path)?signature=x")])
        }
        _ = try await Self.pull(registry, Self.basic)
        #expect(storage.requests.count == 2)
        #expect(storage.requests.allSatisfy { $0.headers["authorization"] == nil && $0.query == "signature=x" })
    }

    @Test("a host that the registry redirects to cannot ask for the credentials")
    func challengeElsewhere() async throws {
        let image = try FakeImage()
        let thief = try ScriptedServer { _ in .text(200, #"{"token":"x"}"#) }
        let thiefHost = thief.host
        let storage = try ScriptedServer { _ in
            .text(401, "", [("WWW-Authenticate", "Bearer realm=\"http://\(thiefHost)/token\"")])
        }
        let elsewhere = storage.host
        let registry = try ScriptedServer { request in
            if request.path.contains("/manifests/") { return image.reply(to: request) }
            return .text(302, "", [("Location", "http://\(elsewhere)/x")])
        }
        let error = await failure { _ = try await Self.pull(registry, Self.basic) }
        #expect(error?.code == .unauthenticated)
        #expect(thief.requests.isEmpty)
    }

    @Test("a redirect in a circle ends")
    func circle() async throws {
        let server = try ScriptedServer { .text(302, "", [("Location", $0.path)]) }
        let error = await failure { _ = try await Self.pull(server, .anonymous) }
        #expect(error?.description.contains("redirects more than 5 times") == true)
        #expect(server.requests.count == 6)
    }

    @Test("an encrypted registry leads neither transfers nor passwords to an unencrypted place")
    func downgrade() async throws {
        try await RegistryClient.with { client in
            let host = RegistryHost(domain: "registry.example.org", configuration: client.configuration)
            let session = RegistrySession(client: client, host: host, repository: "x", credentials: Self.basic)
            #expect(throws: BerthError.self) { try session.encrypted("http://registry.example.org/x") }
            let error = await failure {
                _ = try await session.answer(
                    to: .bearer(realm: "http://tokens.example.org/t", service: nil, scope: nil))
            }
            #expect(error?.code == .permissionDenied)
        }
    }

    static func pull(_ server: ScriptedServer, _ credentials: RegistryCredentials) async throws -> PulledImage {
        let content = try TestContent()
        return try await RegistryClient.with { client in
            try await client.pull(
                ImageReference("\(server.host)/box:v1"), credentials: credentials, into: content.store)
        }
    }
}
