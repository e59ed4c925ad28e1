internal import Core
internal import OCISpec
internal import TestSupport
internal import Testing

@testable internal import Images

/// Pulls and pushes that go where `hosts.toml` says.
struct HostsPullTests {
    private static func pull(
        _ hosts: String, _ domain: String = "registry.example", credentials: RegistryCredentials = .anonymous,
        _ change: (inout RegistryClient.Configuration) -> Void = { _ in }
    ) async throws {
        let scratch = try ScratchDirectory("hosts")
        try scratch.file("\(domain)/hosts.toml", hosts)
        let content = try TestContent()
        try await RegistryClient.with({
            $0.hostsDirectories = [scratch.path]
            change(&$0)
        }) { client in
            _ = try await client.pull(
                ImageReference("\(domain)/box:v1"), credentials: credentials, into: content.store)
        }
    }

    @Test("hosts are asked in order, each only for what it may be asked for")
    func capabilities() async throws {
        let image = try FakeImage()
        let (pulling, resolving, upstream) = (
            try ScriptedServer { image.reply(to: $0) }, try ScriptedServer { image.reply(to: $0) },
            try ScriptedServer { image.reply(to: $0) }
        )
        try await Self.pull(
            """
            server = "http://\(upstream.host)"
            [host."http://\(pulling.host)"]
            capabilities = ["pull"]
            [host."http://\(resolving.host)"]
            capabilities = ["resolve"]
            """)
        // A host that is not trusted with tags never says what one means.
        #expect(resolving.requests.map(\.path) == ["/v2/box/manifests/v1"])
        #expect(pulling.requests.allSatisfy { $0.path.hasPrefix("/v2/box/blobs/") })
        #expect(pulling.requests.count == 2)
        #expect(pulling.requests.allSatisfy { $0.query == "ns=registry.example" })
        #expect(upstream.requests.isEmpty)
    }

    @Test("nobody who may resolve is an error that says so")
    func nobody() async throws {
        let server = try ScriptedServer { _ in FakeImage.missing }
        let error = await failure {
            try await Self.pull("server = \"http://\(server.host)\"\ncapabilities = [\"push\"]")
        }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.description.contains("capability resolve") == true, "\(error?.description ?? "")")
        #expect(server.requests.isEmpty)
    }

    @Test("headers and the path are a host's own; credentials go to the registry and not to its mirror")
    func headers() async throws {
        let image = try FakeImage()
        let mirror = try ScriptedServer { request in
            request.path.hasSuffix("/v1") ? image.reply(to: request) : FakeImage.missing
        }
        let upstream = try ScriptedServer { request in
            request.headers["authorization"] == nil
                ? .text(401, "", [("WWW-Authenticate", "Basic")]) : image.reply(to: request)
        }
        try await Self.pull(
            """
            server = "http://\(upstream.host)"
            [host."http://\(mirror.host)/api/hub"]
            override_path = true
            [host."http://\(mirror.host)/api/hub".header]
            x-key = "mine"
            """, credentials: RegistryTokenTests.basic)
        #expect(mirror.requests.first?.path == "/api/hub/box/manifests/v1")
        #expect(mirror.requests.allSatisfy { $0.headers["x-key"] == "mine" && $0.headers["authorization"] == nil })
        #expect(upstream.requests.allSatisfy { $0.headers["x-key"] == nil && $0.query.isEmpty })
        #expect(upstream.requests.contains { $0.headers["authorization"] != nil })
    }

    @Test("all hosts that failed are named, in order")
    func allFail() async throws {
        let gone = try ScriptedServer { _ in .text(500, "") }
        let (first, second) = (
            try ScriptedServer { _ in .text(503, "") }, try ScriptedServer { _ in FakeImage.missing }
        )
        gone.stop()
        let error = await failure {
            try await Self.pull(
                """
                server = "http://\(gone.host)"
                [host."http://\(first.host)"]
                [host."http://\(second.host)"]
                """)
        }
        let text = error?.description ?? ""
        let places = ["mirror \(first.host): ", "mirror \(second.host): ", "registry \(gone.host): "].map {
            text.firstRange(of: $0)?.lowerBound
        }
        #expect(places.allSatisfy { $0 != nil }, "\(text)")
        #expect(places.compactMap { $0 } == places.compactMap { $0 }.sorted())
    }

    @Test("a registry with its own authority that wants a certificate of ours")
    func certificates() async throws {
        let registry = try await DockerRegistry(tls: true, wantsCertificate: true)
        let scratch = try ScratchDirectory("hosts")
        let content = try TestContent()
        let image = try DockerRegistryTests.image(in: content)
        let reference = try ImageReference("\(registry.host)/box:v1")
        func push(_ hosts: String) async throws {
            try scratch.file("\(registry.host)/hosts.toml", hosts)
            try await RegistryClient.with({ $0.hostsDirectories = [scratch.path] }) { client in
                try await client.push(image, from: content.store, to: reference)
                #expect(try await client.resolve(reference).digest == image.digest)
            }
        }
        try await push(
            """
            ca = "\(registry.certificate)"
            client = [["\(registry.certificate)", "\(registry.key)"]]
            """)
        try await push("skip_verify = true\nclient = [[\"\(registry.certificate)\", \"\(registry.key)\"]]")
        let unknown = await failure {
            try await push("client = [[\"\(registry.certificate)\", \"\(registry.key)\"]]\nskip_verify = false")
        }
        #expect(unknown?.description.contains("no trusted connection") == true, "\(unknown?.description ?? "")")
        let unshown = await failure { try await push("ca = \"\(registry.certificate)\"") }
        #expect(unshown != nil)
    }

    @Test("a certificate for another name is refused, whoever signed it")
    func wrongName() async throws {
        let registry = try await DockerRegistry(tls: true, name: "DNS:other.example")
        let scratch = try ScratchDirectory("hosts")
        let domain = registry.host
        try scratch.file("\(domain)/hosts.toml", "ca = \"\(registry.certificate)\"")
        let content = try TestContent()
        try await RegistryClient.with({ $0.hostsDirectories = [scratch.path] }) { client in
            let error = await failure {
                _ = try await client.pull(ImageReference("\(domain)/box:v1"), into: content.store)
            }
            #expect(error?.description.contains("no trusted connection") == true, "\(error?.description ?? "?")")
        }
        #expect(try content.store.list().isEmpty)
    }

    @Test("a proxy of the environment is asked for what is not excepted")
    func proxy() async throws {
        let image = try FakeImage()
        let proxy = try ScriptedServer { image.reply(to: $0) }
        let content = try TestContent()
        try await RegistryClient.with({
            $0.plainHTTP = ["registry.example"]
            $0.proxies = ProxySettings(environment: ["http_proxy": "http://me:s%40crt@\(proxy.host)/"])
        }) { client in
            _ = try await client.pull(ImageReference("registry.example/box:v1"), into: content.store)
        }
        let connects = proxy.requests.filter { $0.method == "CONNECT" }
        #expect(connects.count == 3)
        #expect(connects.allSatisfy { $0.path == "registry.example:80" })
        let login = "Basic " + Base64.encode(Array("me:s@crt".utf8))
        #expect(connects.allSatisfy { $0.headers["proxy-authorization"] == login })
        // The proxy's password is not the registry's business.
        let inner = proxy.requests.filter { $0.method == "GET" }
        #expect(inner.count == 3)
        #expect(inner.allSatisfy { $0.headers["proxy-authorization"] == nil && $0.path.hasPrefix("/v2/box/") })
    }

    @Test(
        "what NO_PROXY excepts",
        arguments: [
            ("", "https://a.example/x", true), ("*", "https://a.example", false),
            ("example", "https://a.example", false), ("a.example", "https://a.example:5000", false),
            ("a.example:443", "https://a.example:5000", true), ("a.example:443", "https://a.example", false),
            (".example", "https://a.example", false), (".a.example", "https://a.example", true),
            ("b.example,A.Example", "https://a.example", false), ("le", "https://a.example", true),
            ("10.0.0.0/8", "https://10.1.2.3:5000", false), ("10.0.0.0/8", "https://11.1.2.3", true),
            ("fd00::/8", "https://[fd12::1]:5000", false), ("192.0.2.1", "https://192.0.2.1", false),
            ("", "https://127.0.0.1:5000", false), ("", "https://localhost", false), ("", "http://a.example", false),
        ])
    func exceptions(words: String, url: String, isProxied: Bool) {
        let settings = ProxySettings(environment: ["HTTPS_PROXY": "proxy.example:3128", "NO_PROXY": words])
        #expect((settings.proxy(for: url) != nil) == isProxied)
    }

    @Test(
        "how a proxy is written",
        arguments: [
            ("p.example", "p.example", 80), ("http://p.example:3128", "p.example", 3128),
            ("HTTP://[::1]:8080/", "::1", 8080),
            ("https://p.example", "", 0), ("socks5://p.example", "", 0), ("p.example:x", "", 0), ("http://", "", 0),
        ])
    func proxies(text: String, host: String, port: Int) {
        let settings = ProxySettings(environment: ["https_proxy": text])
        let proxy = settings.proxy(for: "https://a.example")
        #expect(proxy?.host ?? "" == host)
        #expect(proxy?.port ?? 0 == port)
        #expect(settings.refused == (host.isEmpty ? ["HTTPS_PROXY"] : []))
    }
}
