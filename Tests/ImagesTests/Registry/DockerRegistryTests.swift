internal import Core
internal import LinuxKernel
internal import OCISpec
internal import TestSupport
internal import Testing

@testable internal import Images

/// Against Debian's docker-registry, with skopeo as the other client.
struct DockerRegistryTests {
    @Test("an image that was pushed is pulled again, blob by blob, and skopeo reads it")
    func pushAndPull() async throws {
        let registry = try await DockerRegistry()
        let (source, target) = (try TestContent(), try TestContent())
        let image = try Self.image(in: source)
        let reference = try ImageReference("\(registry.host)/some/box:v1")
        try await RegistryClient.with { client in
            try await client.push(image, from: source.store, to: reference)
            let pulled = try await client.pull(reference, into: target.store)
            #expect(pulled.target.digest == image.digest)
            #expect(try await client.resolve(reference).digest == image.digest)
        }
        #expect(Set(try target.store.list().map(\.digest)) == Set(try source.store.list().map(\.digest)))
        let words = try await Command.run(
            "skopeo", ["inspect", "--tls-verify=false", "docker://\(reference)"])
        #expect(words.contains("\(image.digest)"))
    }

    @Test("a second push sends no blob again")
    func pushTwice() async throws {
        let registry = try await DockerRegistry()
        let content = try TestContent()
        let image = try Self.image(in: content)
        let existing = Counter()
        try await RegistryClient.with { client in
            try await client.push(image, from: content.store, to: ImageReference("\(registry.host)/box:v1"))
            try await client.push(image, from: content.store, to: ImageReference("\(registry.host)/box:v2")) {
                if $0.state == .exists { existing.next() }
            }
        }
        #expect(existing.count == 2)
    }

    @Test("an index with all of its manifests is pushed and pulled for each platform")
    func pushIndex() async throws {
        let registry = try await DockerRegistry()
        let content = try TestContent()
        let images = try ["amd64", "arm64"].map {
            try Self.image(in: content, platform: Platform(os: "linux", architecture: $0))
        }
        let target = try TestContent()
        let bytes = try StrictJSON.encode(Index(manifests: images))
        try content.store.write(bytes)
        try await RegistryClient.with { client in
            let reference = try ImageReference("\(registry.host)/box:multi")
            try await client.push(FakeImage.descriptor(.imageIndex, bytes), from: content.store, to: reference)
            for image in images {
                let pulled = try await client.pull(
                    reference, platform: try #require(image.platform), into: target.store)
                #expect(pulled.manifest.digest == image.digest)
            }
        }
    }

    @Test("a push without all of the content names what is missing and sends nothing")
    func pushIncomplete() async throws {
        let content = try TestContent()
        let image = try Self.image(in: content)
        let layer = try #require(try content.store.list().max { $0.size < $1.size })
        try content.store.delete(layer.digest)
        let server = try ScriptedServer { _ in .text(500, "") }
        try await RegistryClient.with { client in
            let error = await failure {
                try await client.push(image, from: content.store, to: ImageReference("\(server.host)/box"))
            }
            #expect(error?.code == .notFound)
            #expect(error?.description.contains("\(layer.digest)") == true)
            let other = await failure {
                try await client.push(
                    image, from: content.store, to: ImageReference("\(server.host)/box@\(layer.digest)"))
            }
            #expect(other?.code == .invalidArgument)
        }
        #expect(server.requests.isEmpty)
    }

    @Test("a registry with a password: right, wrong and no credentials")
    func password() async throws {
        let registry = try await DockerRegistry(password: true)
        let content = try TestContent()
        let image = try Self.image(in: content)
        let reference = try ImageReference("\(registry.host)/box:v1")
        let right = RegistryCredentials.basic(username: DockerRegistry.user, password: DockerRegistry.password)
        try await RegistryClient.with { client in
            try await client.push(image, from: content.store, to: reference, credentials: right)
            let pulled = try await client.pull(reference, credentials: right, into: content.store)
            #expect(pulled.target.digest == image.digest)
            for wrong in [
                RegistryCredentials.anonymous, .basic(username: "ann", password: "no"), .registryToken("x"),
                .identityToken("x"),
            ] {
                let error = await failure {
                    _ = try await client.pull(reference, credentials: wrong, into: content.store)
                }
                #expect(error?.code == .unauthenticated)
            }
            let push = await failure { try await client.push(image, from: content.store, to: reference) }
            #expect(push?.code == .unauthenticated)
        }
    }

    @Test("an image that is not there, and a tag that is not there")
    func missing() async throws {
        let registry = try await DockerRegistry()
        try await RegistryClient.with { client in
            let error = await failure { _ = try await client.resolve(ImageReference("\(registry.host)/nothing:v1")) }
            #expect(error?.code == .notFound)
            #expect(error?.description.contains("\(registry.host)/nothing:v1") == true)
        }
    }

    @Test("a certificate that nobody vouches for is refused, unless the host is named for it")
    func selfSigned() async throws {
        let registry = try await DockerRegistry(tls: true)
        let content = try TestContent()
        let image = try Self.image(in: content)
        let reference = try ImageReference("\(registry.host)/box:v1")
        try await RegistryClient.with({ $0.insecureTLS = [registry.host] }) { client in
            try await client.push(image, from: content.store, to: reference)
            #expect(try await client.resolve(reference).digest == image.digest)
        }
        // As a mirror its scheme is given, so that it is not taken for a plain one of this machine.
        let other = try ImageReference("127.0.0.1:1/box:v1")
        try await RegistryClient.with({ $0.mirrors = [other.domain: ["https://\(registry.host)"]] }) { client in
            let begin = ContinuousClock.now
            let error = await failure { _ = try await client.resolve(other) }
            #expect(error?.description.contains("no trusted connection") == true, "\(error?.description ?? "")")
            #expect(error?.description.contains("insecure_tls") == true)
            #expect(ContinuousClock.now - begin < .seconds(5))
        }
        try await RegistryClient.with({
            $0.mirrors = [other.domain: ["https://\(registry.host)"]]
            $0.insecureTLS = [registry.host]
        }) { client in
            let found = try await client.resolve(other)
            #expect(found.digest == image.digest)
        }
    }

    @Test("an image that skopeo pushed from umoci's layout is pulled")
    func fromSkopeo() async throws {
        let registry = try await DockerRegistry()
        let scratch = try ScratchDirectory("skopeo")
        let fixture = try await ImageFixture(below: scratch.path)
        try await Command.run(
            "skopeo",
            [
                "copy", "--insecure-policy", "--dest-tls-verify=false", "oci:\(fixture.layout):v1",
                "docker://\(registry.host)/box:v1",
            ])
        let content = try TestContent()
        let pulled = try await RegistryClient.with { client in
            try await client.pull(ImageReference("\(registry.host)/box:v1"), into: content.store)
        }
        #expect(pulled.layers.count == 2)
        for blob in pulled.layers + [pulled.config] { try await content.store.verify(blob.digest) }
    }

    static func image(in content: TestContent, platform: Platform = .host) throws -> Descriptor {
        var builder = RootFSImageBuilder(platform: platform)
        try builder.add(
            .file(content: (0..<600_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }, mode: 0o644), at: "/data")
        return try builder.build(into: content.store)
    }
}
