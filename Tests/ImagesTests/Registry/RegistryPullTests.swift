internal import Core
internal import Glibc
internal import LinuxKernel
internal import OCISpec
internal import TestSupport
internal import Testing

@testable internal import Images

/// A registry that behaves, and one that lies.
struct RegistryPullTests {
    @Test("a pull by tag brings every blob, verified")
    func byTag() async throws {
        let image = try FakeImage(layers: [300_000, 10, 0])
        let server = try ScriptedServer { image.reply(to: $0) }
        let content = try TestContent()
        let pulled = try await RegistryClient.with { client in
            try await client.pull(ImageReference("\(server.host)/some/box:v1"), into: content.store)
        }
        #expect(pulled.target == image.descriptor)
        #expect(pulled.manifest == image.descriptor)
        #expect(try content.store.read(pulled.config, limit: 1 << 20) == image.config)
        for (layer, bytes) in zip(pulled.layers, image.layers) {
            #expect(try content.store.read(layer, limit: 1 << 20) == bytes)
        }
        #expect(server.requests.first?.path == "/v2/some/box/manifests/v1")
        #expect(server.requests.first?.headers["accept"]?.contains("application/vnd.oci.image.index.v1+json") == true)
        #expect(try content.store.ingests().isEmpty)
    }

    @Test("a second pull transfers no blob again and says that they exist")
    func again() async throws {
        let image = try FakeImage()
        let server = try ScriptedServer { image.reply(to: $0) }
        let content = try TestContent()
        let existing = Counter()
        try await RegistryClient.with { client in
            let reference = try ImageReference("\(server.host)/box:v1")
            _ = try await client.pull(reference, into: content.store)
            let before = server.requests.count
            _ = try await client.pull(reference, into: content.store) { if $0.state == .exists { existing.next() } }
            #expect(server.requests.count == before + 1)
        }
        #expect(existing.count == 2)
    }

    @Test("a blob is asked of the registry and of nobody whom the manifest names")
    func foreignURLs() async throws {
        let image = try FakeImage()
        let elsewhere = try ScriptedServer { image.reply(to: $0) }
        var layer = try FakeImage.descriptor(
            MediaType(rawValue: "application/vnd.oci.image.layer.nondistributable.v1.tar"), image.layers[0])
        layer.urls = ["http://\(elsewhere.host)/blobs/\(layer.digest)"]
        let digest = layer.digest
        let manifest = try StrictJSON.encode(
            Manifest(config: FakeImage.descriptor(.imageConfig, image.config), layers: [layer]))
        for isThere in [true, false] {
            let server = try ScriptedServer { request in
                if request.path.contains("/manifests/") { return FakeImage.document(manifest, .imageManifest) }
                return isThere || !request.path.hasSuffix("\(digest)")
                    ? image.reply(to: request) : FakeImage.missing
            }
            let content = try TestContent()
            let error = await failure {
                _ = try await RegistryClient.with { client in
                    try await client.pull(
                        ImageReference("\(server.host)/box:v1"),
                        credentials: .basic(username: "me", password: "secret"),
                        into: content.store)
                }
            }
            #expect(error?.code == (isThere ? nil : .notFound), "\(String(describing: error))")
        }
        #expect(elsewhere.requests.isEmpty)
    }

    @Test("an image that the disk has no room for is refused before a blob is fetched")
    func tooLargeForDisk() async throws {
        let image = try FakeImage(layers: [3 << 20])
        let server = try ScriptedServer { image.reply(to: $0) }
        let scratch = try ScratchDirectory("small")
        let mount = try scratch.directory("disk")
        try Syscall.mount(source: "tmpfs", target: mount, type: "tmpfs", flags: [], data: "size=2m")
        defer { try? Syscall.umount2(mount, .detach) }
        let content = try ContentStore(root: mount.appending("content"))
        let error = await failure {
            _ = try await RegistryClient.with { client in
                try await client.pull(ImageReference("\(server.host)/box:v1"), into: content)
            }
        }
        #expect(error?.code == .resourceExhausted)
        #expect(error?.description.contains("bytes left") == true, "\(String(describing: error))")
        #expect(!server.requests.contains { $0.path.contains("/blobs/") })
        #expect(try content.ingests().isEmpty)
    }

    @Test("of an index, the platform's image is pulled and the index is kept")
    func index() async throws {
        let (mine, other) = (try FakeImage(), try FakeImage())
        let index = try Self.index([
            (other, Platform(os: "linux", architecture: "s390x")),
            (mine, Platform(os: "linux", architecture: "arm", variant: "v6")),
        ])
        let server = try ScriptedServer { request in
            request.path.hasSuffix("/v1") ? FakeImage.document(index, .imageIndex) : mine.reply(to: request)
        }
        let content = try TestContent()
        try await RegistryClient.with { client in
            let reference = try ImageReference("\(server.host)/box:v1")
            let wanted = Platform(os: "linux", architecture: "arm", variant: "v7")
            let pulled = try await client.pull(reference, platform: wanted, into: content.store)
            #expect(try pulled.target == FakeImage.descriptor(.imageIndex, index))
            #expect(pulled.manifest.digest == mine.manifestDigest)
            #expect(content.store.contains(pulled.target.digest))

            let error = await failure {
                _ = try await client.pull(
                    reference, platform: Platform(os: "linux", architecture: "riscv64"), into: content.store)
            }
            #expect(error?.code == .notFound)
            #expect(
                error?.description.contains("has nothing for linux/riscv64; it has linux/arm/v6, linux/s390x") == true)
        }
    }

    @Test("an index without a platform, or of indexes without end, is refused")
    func badIndexes() async throws {
        let content = try TestContent()
        let empty = try StrictJSON.encode(Index(manifests: []))
        // Each index names the one before.
        var documents: [String: [UInt8]] = [:]
        var top = try StrictJSON.encode(Index(manifests: []))
        for _ in 0..<12 {
            var child = try FakeImage.descriptor(.imageIndex, top)
            documents["\(child.digest)"] = top
            child.platform = .host
            top = try StrictJSON.encode(Index(manifests: [child]))
        }
        let (deep, known) = (top, documents)
        let server = try ScriptedServer { request in
            if request.path.hasSuffix("/empty") { return FakeImage.document(empty, .imageIndex) }
            let name = request.path.split(separator: "/").last.map(String.init) ?? ""
            return FakeImage.document(known[name] ?? deep, .imageIndex)
        }
        try await RegistryClient.with { client in
            let none = await failure {
                _ = try await client.pull(ImageReference("\(server.host)/box:empty"), into: content.store)
            }
            #expect(none?.description.contains("it has no platforms") == true)
            let nested = await failure {
                _ = try await client.pull(ImageReference("\(server.host)/box:deep"), into: content.store)
            }
            #expect(nested?.description.contains("more than 8 deep") == true)
        }
    }

    @Test("a pull by digest takes nothing else")
    func byDigest() async throws {
        let (image, other) = (try FakeImage(), try FakeImage())
        let server = try ScriptedServer { request in
            request.path.contains("wrong")
                ? FakeImage.document(other.manifest, .imageManifest) : image.reply(to: request)
        }
        let content = try TestContent()
        try await RegistryClient.with { client in
            let pulled = try await client.pull(
                ImageReference("\(server.host)/box@\(image.manifestDigest)"), into: content.store)
            #expect(pulled.target == image.descriptor)
            let error = await failure {
                _ = try await client.pull(
                    ImageReference("\(server.host)/wrong@\(image.manifestDigest)"), into: content.store)
            }
            #expect(error?.code == .dataLoss)
            #expect(
                error?.description.contains("has digest \(other.manifestDigest) instead of \(image.manifestDigest)")
                    == true)
        }
    }

    @Test("a manifest of an index with another size than announced is refused")
    func wrongManifestSize() async throws {
        let image = try FakeImage()
        var child = image.descriptor
        child.size += 1
        let index = try StrictJSON.encode(Index(manifests: [child]))
        let server = try ScriptedServer { request in
            request.path.hasSuffix("/v1") ? FakeImage.document(index, .imageIndex) : image.reply(to: request)
        }
        let error = try await Self.failureOfPull(from: server)
        #expect(error?.code == .dataLoss)
        #expect(error?.description.contains("instead of the announced \(child.size)") == true)
    }

    @Test("a document that is both a manifest and an index has no certain meaning (CVE-2021-41190)")
    func ambiguous() async throws {
        let image = try FakeImage()
        let text = String(decoding: image.manifest, as: UTF8.self).dropLast() + #","manifests":[]}"#
        let server = try ScriptedServer { _ in FakeImage.document(Array(text.utf8), .imageManifest) }
        let error = try await Self.failureOfPull(from: server)
        #expect(error?.code == .invalidArgument)
        #expect(error?.description.contains("both a manifest and an index") == true)
    }

    @Test(
        "documents that are not what they claim are refused",
        arguments: [
            (#"{"schemaVersion":2,"manifests":[]}"#, MediaType.imageManifest),
            (#"{"schemaVersion":2,"layers":[]}"#, .imageIndex), (#"{"schemaVersion":1,"fsLayers":[]}"#, .imageManifest),
            (#"{"schemaVersion":2,"mediaType":"text/plain","layers":[]}"#, .imageManifest), ("[1,2", .imageManifest),
            ("", .imageManifest), ("{}", .imageManifest),
        ])
    func badDocuments(text: String, type: MediaType) async throws {
        let server = try ScriptedServer { _ in FakeImage.document(Array(text.utf8), type) }
        #expect(try await Self.failureOfPull(from: server)?.code == .invalidArgument)
    }

    @Test("a manifest that is too large, also one without an end, is given up at 4 MiB", arguments: [false, true])
    func largeManifest(isEndless: Bool) async throws {
        let server = try ScriptedServer { _ in
            .init(
                headers: [("Content-Type", MediaType.imageManifest.rawValue)],
                body: [UInt8](repeating: 0x20, count: isEndless ? 1 << 16 : (4 << 20) + 1),
                ending: isEndless ? .endless : .whole)
        }
        let error = try await Self.failureOfPull(from: server)
        #expect(error?.code == .resourceExhausted)
        #expect(error?.description.contains("larger than 4194304 bytes") == true)
    }

    @Test(
        "a manifest of exactly 100 MB, by its name or in an index that says so, is refused at little memory",
        arguments: [false, true])
    func hugeManifest(isInIndex: Bool) async throws {
        let image = try FakeImage()
        let size = 100_000_000
        // Well-formed JSON, spaces and all.
        let reply = ScriptedServer.Reply(
            headers: [("Content-Type", MediaType.imageManifest.rawValue)], padding: size - image.manifest.count,
            body: image.manifest)
        var child = image.descriptor
        child.size = Int64(size)
        let index = try StrictJSON.encode(Index(manifests: [child]))
        let server = try ScriptedServer { request in
            guard request.path.contains("/manifests/") else { return image.reply(to: request) }
            return isInIndex && request.path.hasSuffix("/v1") ? FakeImage.document(index, .imageIndex) : reply
        }
        let content = try TestContent()
        let growth = try await PeakMemory.growth {
            let error = try await Self.failureOfPull(from: server, into: content)
            #expect(error?.code == .resourceExhausted)
            #expect(error?.description.contains("larger than 4194304 bytes") == true, "\(String(describing: error))")
        }
        #expect(growth < 48 << 20, "\(growth >> 20) MiB")
        #expect(try content.store.ingests().isEmpty)
    }

    @Test("a blob with other content than its digest says leaves nothing behind")
    func wrongBlob() async throws {
        let image = try FakeImage()
        let layer = "\(try Digest.of(image.layers[0]))"
        let server = try ScriptedServer { request in
            request.path.hasSuffix(layer) ? .init(body: image.layers[0].reversed()) : image.reply(to: request)
        }
        let content = try TestContent()
        let error = try await Self.failureOfPull(from: server, into: content)
        #expect(error?.code == .dataLoss)
        #expect(error?.description.contains(layer) == true)
        #expect(server.requests(to: layer).count == 1)
        #expect(try content.store.ingests().isEmpty)
    }

    @Test("a blob that goes on after its announced end is given up and leaves nothing behind")
    func endlessBlob() async throws {
        let image = try FakeImage()
        let layer = "\(try Digest.of(image.layers[0]))"
        let server = try ScriptedServer { request in
            request.path.hasSuffix(layer) ? .init(body: image.layers[0], ending: .endless) : image.reply(to: request)
        }
        let content = try TestContent()
        let error = try await Self.failureOfPull(from: server, into: content)
        #expect(error?.code == .dataLoss)
        #expect(error?.description.contains("is longer than the announced 100000 bytes") == true)
        #expect(try content.store.ingests().isEmpty)
    }

    @Test("a manifest that lies about the size of a blob that is here already is refused")
    func wrongSizeOfKnownBlob() async throws {
        let image = try FakeImage()
        var layer = try FakeImage.descriptor(.layer, image.layers[0])
        let config = try FakeImage.descriptor(.imageConfig, image.config)
        let content = try TestContent()
        try content.store.write(image.layers[0])
        layer.size = 7
        let lying = try StrictJSON.encode(Manifest(config: config, layers: [layer]))
        let twice = try StrictJSON.encode(
            Manifest(config: config, layers: [layer, FakeImage.descriptor(.layer, image.layers[0])]))
        let server = try ScriptedServer { request in
            if request.path.hasSuffix("manifests/v1") { return FakeImage.document(lying, .imageManifest) }
            return request.path.hasSuffix("manifests/v2")
                ? FakeImage.document(twice, .imageManifest) : image.reply(to: request)
        }
        let one = try await Self.failureOfPull(from: server, into: content)
        #expect(one?.description.contains("has 100000 bytes instead of the 7") == true)
        let two = try await Self.failureOfPull(from: server, tag: "v2", into: content)
        #expect(two?.description.contains("with 7 and with 100000 bytes") == true)
    }

    @Test("two pulls at once fetch each blob once")
    func twoAtOnce() async throws {
        let image = try FakeImage(layers: [2_000_000, 1_000_000])
        let server = try ScriptedServer { image.reply(to: $0) }
        let content = try TestContent()
        try await RegistryClient.with { client in
            let reference = try ImageReference("\(server.host)/box:v1")
            async let first = client.pull(reference, into: content.store)
            async let second = client.pull(reference, into: content.store)
            _ = try await (first, second)
        }
        for blob in image.layers + [image.config] {
            #expect(server.requests(to: "\(try Digest.of(blob))").count == 1)
        }
    }

    @Test("of many pulls at once no more blobs are downloaded at a time than are allowed in all")
    func manyAtOnce() async throws {
        let images = try (0..<4).map { _ in try FakeImage(layers: [20_000, 20_000, 20_000]) }
        let transfers = Crowd()
        let server = try ScriptedServer { request in
            let number = Int(request.path.split(separator: "/")[1].dropFirst("box".count)) ?? 0
            guard request.path.contains("/blobs/") else { return images[number].reply(to: request) }
            transfers.enter()
            usleep(30_000)
            // Before the answer, so that what comes next is never counted too early.
            transfers.leave()
            return images[number].reply(to: request)
        }
        let content = try TestContent()
        try await RegistryClient.with({ $0.concurrentDownloads = 2 }) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in images.indices {
                    group.addTask {
                        let reference = try ImageReference("\(server.host)/box\(number):v1")
                        _ = try await client.pull(reference, into: content.store)
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(transfers.most == 2)
    }

    @Test(
        "cancellation ends a pull and does not wait for the server", .timeLimit(.minutes(5)),
        arguments: ["manifests/v1", "blobs/"])
    func cancellation(silentPath: String) async throws {
        let image = try FakeImage()
        let server = try ScriptedServer { request in
            request.path.contains(silentPath) ? .init(ending: .silent) : image.reply(to: request)
        }
        let content = try TestContent()
        // Longer than the test may last: only the cancellation can end the pull.
        try await RegistryClient.with({ $0.stallTimeout = 3600 }) { client in
            let pull = Task { try await client.pull(ImageReference("\(server.host)/box:v1"), into: content.store) }
            try await eventually("the request", within: .seconds(120)) {
                server.requests.contains { $0.path.contains(silentPath) }
            }
            pull.cancel()
            await #expect(throws: CancellationError.self) { try await pull.value }
        }
    }

    static func index(_ images: [(FakeImage, Platform)]) throws -> [UInt8] {
        try StrictJSON.encode(
            Index(
                manifests: images.map { image, platform in
                    var descriptor = image.descriptor
                    descriptor.platform = platform
                    return descriptor
                }))
    }

    static func failureOfPull(
        from server: ScriptedServer, tag: String = "v1", into content: TestContent? = nil
    ) async throws -> BerthError? {
        let content = try content ?? TestContent()
        return try await RegistryClient.with { client in
            await failure {
                _ = try await client.pull(ImageReference("\(server.host)/box:\(tag)"), into: content.store)
            }
        }
    }
}
