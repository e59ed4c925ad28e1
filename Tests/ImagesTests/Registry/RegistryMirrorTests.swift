internal import Core
internal import LinuxKernel
internal import OCISpec
internal import Testing

@testable internal import Images

/// Mirrors are asked before the registry, in order.
struct RegistryMirrorTests {
    @Test("what a mirror has is not asked of the registry")
    func mirrorHasIt() async throws {
        let image = try FakeImage()
        let (mirror, registry) = (
            try ScriptedServer { image.reply(to: $0) }, try ScriptedServer { image.reply(to: $0) }
        )
        _ = try await Self.pull(registry, mirrors: ["http://\(mirror.host)/proxy"])
        #expect(registry.requests.isEmpty)
        #expect(mirror.requests.first?.path == "/proxy/v2/box/manifests/v1")
        #expect(mirror.requests.count == 3)
    }

    @Test("a mirror that fails is passed over for the rest of the pull, and gets no credentials")
    func mirrorFails() async throws {
        let image = try FakeImage()
        let empty = try ScriptedServer { _ in FakeImage.missing }
        let broken = try ScriptedServer { _ in .text(503, "") }
        let registry = try ScriptedServer { request in
            guard request.headers["authorization"] != nil else {
                return .text(401, "", [("WWW-Authenticate", "Basic")])
            }
            return image.reply(to: request)
        }
        _ = try await Self.pull(registry, mirrors: [empty.host, broken.host], credentials: RegistryTokenTests.basic)
        // One that only lacks something is asked for the rest; nothing is tried twice.
        #expect(empty.requests.count == 3)
        #expect(broken.requests.count == 1)
        #expect((empty.requests + broken.requests).allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test("a mirror that lies or breaks off is replaced in the middle of a blob")
    func mirrorLies() async throws {
        let image = try FakeImage(layers: [200_000])
        let layer = "\(try Digest.of(image.layers[0]))"
        for isLie in [true, false] {
            let mirror = try ScriptedServer { request in
                guard request.path.hasSuffix(layer) else { return image.reply(to: request) }
                return isLie
                    ? .init(body: image.layers[0].reversed())
                    : .init(body: Array(image.layers[0].prefix(90_000)), announced: 200_000, ending: .cut)
            }
            let registry = try ScriptedServer { image.reply(to: $0) }
            _ = try await Self.pull(registry, mirrors: [mirror.host])
            #expect(registry.requests(to: layer).map { $0.headers["range"] } == [isLie ? nil : "bytes=90000-"])
        }
    }

    @Test("when nobody has it, every host is named with its reason")
    func allFail() async throws {
        let gone = try ScriptedServer { _ in .text(500, "") }
        gone.stop()
        let broken = try ScriptedServer { _ in .text(503, "") }
        let registry = try ScriptedServer { _ in FakeImage.missing }
        let error = await failure { _ = try await Self.pull(registry, mirrors: [gone.host, broken.host]) }
        #expect(error?.code == .notFound)
        let text = error?.description ?? ""
        #expect(text.contains("no host delivers it"))
        #expect(text.contains("mirror \(gone.host): "))
        #expect(text.contains("mirror \(broken.host): image"))
        #expect(text.contains("503"))
        #expect(text.contains("registry \(registry.host): image \"\(registry.host)/box:v1\" does not exist"))
        #expect(text.contains("it is not here"))
    }

    @Test("cancellation does not go on to the next host")
    func cancelled() async throws {
        let mirror = try ScriptedServer { _ in .init(ending: .silent) }
        let registry = try ScriptedServer { _ in FakeImage.missing }
        let pull = Task { try await Self.pull(registry, mirrors: [mirror.host]) }
        while mirror.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        pull.cancel()
        await #expect(throws: CancellationError.self) { try await pull.value }
        #expect(registry.requests.isEmpty)
    }

    @Test("a mirror that is none is refused before anybody is asked")
    func badMirror() async throws {
        let registry = try ScriptedServer { _ in FakeImage.missing }
        let error = await failure { _ = try await Self.pull(registry, mirrors: ["ftp://x"]) }
        #expect(error?.code == .invalidArgument)
        #expect(registry.requests.isEmpty)
    }

    static func pull(
        _ registry: ScriptedServer, mirrors: [String], credentials: RegistryCredentials = .anonymous
    ) async throws -> PulledImage {
        let content = try TestContent()
        return try await RegistryClient.with({ $0.mirrors = [registry.host: mirrors] }) { client in
            try await client.pull(
                ImageReference("\(registry.host)/box:v1"), credentials: credentials, into: content.store)
        }
    }
}
