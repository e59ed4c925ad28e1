internal import Core
internal import LinuxKernel
internal import OCISpec
internal import Synchronization
internal import Testing

@testable internal import Images

/// Transfers that break, and servers that ask for patience.
struct RegistryRetryTests {
    @Test("a blob that breaks off is continued by range")
    func resumed() async throws {
        let image = try FakeImage(layers: [400_000])
        let layer = "\(try Digest.of(image.layers[0]))"
        let tries = Counter()
        let server = try ScriptedServer { request in
            var reply = image.reply(to: request)
            guard request.path.hasSuffix(layer), tries.next() < 3 else { return reply }
            reply.announced = reply.body.count
            reply.body = Array(reply.body.prefix(150_000))
            reply.ending = .cut
            return reply
        }
        let content = try TestContent()
        let pulled = try await Self.pull(server, into: content)
        #expect(try content.store.read(pulled.layers[0], limit: 1 << 20) == image.layers[0])
        let ranges = server.requests(to: layer).map { $0.headers["range"] }
        #expect(ranges.count == 3)
        #expect(ranges.first == .some(nil))
        #expect(ranges.dropFirst().allSatisfy { $0?.hasPrefix("bytes=") == true })
    }

    @Test("a try that brought a MiB does not count: a slow line ends in the end")
    func progressResetsTries() async throws {
        let image = try FakeImage(layers: [8 << 20])
        let layer = "\(try Digest.of(image.layers[0]))"
        let server = try ScriptedServer { request in
            var reply = image.reply(to: request)
            guard request.path.hasSuffix(layer) else { return reply }
            reply.announced = reply.body.count
            reply.body = Array(reply.body.prefix(1_900_000))
            if reply.announced != reply.body.count { reply.ending = .cut }
            return reply
        }
        let content = try TestContent()
        _ = try await Self.pull(server, into: content)
        #expect(server.requests(to: layer).count > 3)
    }

    @Test(
        "a registry that ignores the range, or answers another one, is read from the start", arguments: [200, 206, 416])
    func otherRange(status: Int) async throws {
        let image = try FakeImage(layers: [200_000])
        let layer = "\(try Digest.of(image.layers[0]))"
        let tries = Counter()
        let server = try ScriptedServer { request in
            guard request.path.hasSuffix(layer) else { return image.reply(to: request) }
            switch tries.next() {
            case 1: return .init(body: Array(image.layers[0].prefix(50_000)), announced: 200_000, ending: .cut)
            case 2 where status == 206:
                return .init(status: 206, headers: [("Content-Range", "bytes 0-9/10")], body: [1, 2])
            case 2 where status == 416: return .text(416, "")
            default: return .init(body: image.layers[0])
            }
        }
        let content = try TestContent()
        let pulled = try await Self.pull(server, into: content)
        #expect(try content.store.read(pulled.layers[0], limit: 1 << 20) == image.layers[0])
    }

    @Test("what an interrupted pull brought is where the next one goes on")
    func continuedByNextPull() async throws {
        let image = try FakeImage(layers: [200_000])
        let layer = "\(try Digest.of(image.layers[0]))"
        let isWell = Mutex(false)
        let server = try ScriptedServer { request in
            guard request.path.hasSuffix(layer), !isWell.withLock({ $0 }) else { return image.reply(to: request) }
            return .init(body: Array(image.layers[0].prefix(120_000)), announced: 200_000, ending: .cut)
        }
        let content = try TestContent()
        let error = await failure { _ = try await Self.pull(server, into: content) { $0.attempts = 1 } }
        #expect(error?.code == .unavailable)
        let kept = try #require(try content.store.ingests().first).offset
        #expect(kept > 0)
        isWell.withLock { $0 = true }
        _ = try await Self.pull(server, into: content)
        #expect(server.requests(to: layer).last?.headers["range"] == "bytes=\(kept)-")
        #expect(try content.store.ingests().isEmpty)
    }

    @Test("what was kept and has been damaged since is fetched anew, in one pull")
    func damagedRest() async throws {
        let image = try FakeImage(layers: [200_000])
        let digest = try Digest.of(image.layers[0])
        let content = try TestContent()
        let writer = try content.store.ingest("pull-\(digest)", total: 200_000)
        try writer.write([UInt8](repeating: 7, count: 150_000))
        writer.suspend()
        let server = try ScriptedServer { image.reply(to: $0) }
        let pulled = try await Self.pull(server, into: content)
        #expect(try content.store.read(pulled.layers[0], limit: 1 << 20) == image.layers[0])
        #expect(server.requests(to: "\(digest)").map { $0.headers["range"] } == ["bytes=150000-", nil])
    }

    @Test("5xx and 429 are tried again", arguments: [500, 502, 503, 429, 408])
    func transientStatus(status: Int) async throws {
        let image = try FakeImage()
        let tries = Counter()
        let server = try ScriptedServer { request in
            tries.next() <= 2 ? .text(status, "busy") : image.reply(to: request)
        }
        _ = try await Self.pull(server, into: TestContent())
    }

    @Test("a registry that stays broken is given up with its own words, made printable")
    func givenUp() async throws {
        let server = try ScriptedServer { _ in
            .text(503, #"{"errors":[{"code":"UNAVAILABLE","message":"come \u001b[31mback"}]}"#)
        }
        let error = await failure { _ = try await Self.pull(server, into: TestContent()) }
        #expect(error?.code == .unavailable)
        #expect(error?.description.contains("given up after 3 tries") == true)
        #expect(error?.description.contains("503") == true)
        #expect(error?.description.contains("come ?[31mback") == true)
        #expect(server.requests.count == 3)
    }

    @Test("Retry-After is waited for")
    func retryAfter() async throws {
        let image = try FakeImage()
        let tries = Counter()
        let server = try ScriptedServer { request in
            tries.next() == 1 ? .text(429, "", [("Retry-After", "1")]) : image.reply(to: request)
        }
        let begin = ContinuousClock.now
        _ = try await Self.pull(server, into: TestContent())
        #expect(ContinuousClock.now - begin >= .seconds(1))
    }

    @Test("Retry-After may be a date")
    func retryAfterDate() {
        let now = 1_445_412_480
        #expect(RetryAfter.seconds("Wed, 21 Oct 2015 07:28:00 GMT", now: now - 90) == 90)
        #expect(RetryAfter.seconds("Wed, 21 Oct 2015 07:28:00 GMT", now: now + 5) == -5)
        #expect(RetryAfter.seconds("17") == 17)
        for text in [
            "", "Wed, 21 Oct 2015 07:28:00 CET", "Wed, 21 Okt 2015 07:28:00 GMT", "Wed, 32 Oct 2015 07:28:00 GMT",
            "Wed, 21 Oct 2015 24:28:00 GMT", "21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28 GMT",
        ] { #expect(RetryAfter.seconds(text) == nil, "\(text)") }
    }

    @Test(
        "a server that wants more patience than there is, or makes no sense, does not hold the pull up",
        arguments: ["86400", "-5", "soon"])
    func endlessPatience(value: String) async throws {
        let server = try ScriptedServer { _ in .text(429, "", [("Retry-After", value)]) }
        let error = await failure { _ = try await Self.pull(server, into: TestContent()) }
        #expect(error?.code == .unavailable)
        #expect(server.requests.count == (value == "86400" ? 1 : 3))
    }

    @Test("a server that says nothing, goes silent or ends in the middle is given up")
    func stall() async throws {
        let image = try FakeImage()
        let layer = "\(try Digest.of(image.layers[0]))"
        let half = { @Sendable (bytes: [UInt8], type: MediaType, ending: ScriptedServer.Reply.Ending) in
            ScriptedServer.Reply(
                headers: [("Content-Type", type.rawValue)], body: Array(bytes.prefix(bytes.count / 2)),
                announced: bytes.count, ending: ending)
        }
        let server = try ScriptedServer { request in
            if request.path.contains("/silent/") { return .init(ending: .silent) }
            if request.path.contains("/cut/") { return half(image.manifest, .imageManifest, .cut) }
            if request.path.contains("/stuck/") { return half(image.manifest, .imageManifest, .stuck) }
            if request.path.hasSuffix(layer) { return half(image.layers[0], .layer, .stuck) }
            return image.reply(to: request)
        }
        for name in ["silent", "cut", "stuck", "blob"] {
            let content = try TestContent()
            let error = await failure {
                _ = try await RegistryClient.with({
                    $0.stallTimeout = 1
                    $0.attempts = 2
                }) { client in
                    try await client.pull(ImageReference("\(server.host)/\(name):v1"), into: content.store)
                }
            }
            #expect(error?.code == .unavailable, "\(name)")
            #expect(
                error?.description.contains("given up after 2 tries") == true, "\(name): \(error?.description ?? "")")
        }
    }

    @Test("a blob that comes drop by drop is given up, though it never stops")
    func drip() async throws {
        let image = try FakeImage(layers: [50_000])
        let layer = "\(try Digest.of(image.layers[0]))"
        let server = try ScriptedServer { request in
            var reply = image.reply(to: request)
            if request.path.hasSuffix(layer) { reply.ending = .drip }
            return reply
        }
        let content = try TestContent()
        let begin = ContinuousClock.now
        try await RegistryClient.with({
            $0.stallTimeout = 1
            $0.attempts = 2
        }) { client in
            let error = await failure {
                _ = try await client.pull(ImageReference("\(server.host)/box:v1"), into: content.store)
            }
            #expect(error?.description.contains("bytes came in 1.0 seconds") == true, "\(error?.description ?? "")")
        }
        #expect(ContinuousClock.now - begin < .seconds(8))
        #expect(!content.store.contains(try Digest.of(image.layers[0])))
    }

    @Test("nobody listening is an error that says where")
    func refused() async throws {
        let server = try ScriptedServer { _ in .text(500, "") }
        server.stop()
        let error = await failure { _ = try await Self.pull(server, into: TestContent()) }
        #expect(error?.code == .unavailable)
        #expect(error?.description.contains(server.host) == true)
        #expect(error?.description.contains("refused") == true, "\(error?.description ?? "")")
    }

    static func pull(
        _ server: ScriptedServer, into content: TestContent,
        _ change: (inout RegistryClient.Configuration) -> Void = { _ in }
    ) async throws -> PulledImage {
        try await RegistryClient.with(change) { client in
            try await client.pull(ImageReference("\(server.host)/box:v1"), into: content.store)
        }
    }
}
