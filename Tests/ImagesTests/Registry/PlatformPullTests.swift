internal import Core
internal import OCISpec
internal import Testing

@testable internal import Images

/// What comes of an index for several platforms.
struct PlatformPullTests {
    private static func index(_ images: [FakeImage], _ platforms: [Platform]) throws -> [UInt8] {
        try StrictJSON.encode(
            Index(
                manifests: zip(images, platforms).map { image, platform in
                    Descriptor(
                        mediaType: .imageManifest, digest: image.manifestDigest, size: Int64(image.manifest.count),
                        platform: platform)
                }))
    }

    @Test("all platforms of an index are fetched on request, and the host's is the image")
    func all() async throws {
        let platforms = [Platform(os: "linux", architecture: "s390x"), .host]
        let images = try platforms.map { try FakeImage(platform: $0) }
        let index = try Self.index(images, platforms)
        let server = try ScriptedServer { request in
            if request.path.hasSuffix("/manifests/v1") { return FakeImage.document(index, .imageIndex) }
            return images.map { $0.reply(to: request) }.first { $0.status != 404 } ?? FakeImage.missing
        }
        let content = try TestContent()
        try await RegistryClient.with { client in
            let reference = try ImageReference("\(server.host)/box:v1")
            let pulled = try await client.pull(reference, platforms: .all, into: content.store)
            #expect(pulled.manifest.digest == images[1].manifestDigest)
            #expect(pulled.target.digest == (try Digest.of(index)))
        }
        for image in images {
            #expect(content.store.contains(image.manifestDigest))
            for layer in image.layers { #expect(content.store.contains(try Digest.of(layer))) }
        }
    }

    @Test(
        "of several variants the best that the processor runs is chosen",
        arguments: [
            ("arm/v7", ["v6", "v7", "v8"], "v7"), ("arm/v7", ["v5", "v6"], "v6"),
            ("amd64/v3", ["v1", "v2", "v4"], "v2"),
        ])
    func variants(wanted: String, offered: [String], chosen: String) async throws {
        let platform = try #require(Platform("linux/\(wanted)"))
        let platforms = offered.map { Platform(os: "linux", architecture: platform.architecture, variant: $0) }
        let images = try platforms.map { try FakeImage(platform: $0) }
        let index = try Self.index(images, platforms)
        let server = try ScriptedServer { request in
            if request.path.hasSuffix("/manifests/v1") { return FakeImage.document(index, .imageIndex) }
            return images.map { $0.reply(to: request) }.first { $0.status != 404 } ?? FakeImage.missing
        }
        let content = try TestContent()
        try await RegistryClient.with { client in
            let pulled = try await client.pull(
                ImageReference("\(server.host)/box:v1"), platform: platform, into: content.store)
            let expected = try #require(offered.firstIndex(of: chosen))
            #expect(pulled.manifest.digest == images[expected].manifestDigest)
        }
        // Nothing of the others.
        #expect(try content.store.list().count == 4)
    }

    @Test("an index in a circle, or with too many manifests, is refused")
    func endless() async throws {
        // A circle cannot be made of digests; the same index at each level of a deep nesting can.
        let image = try FakeImage()
        var level = try Self.index([image], [.host])
        var documents = ["\(try Digest.of(level))": level]
        for _ in 0..<10 {
            level = try StrictJSON.encode(
                Index(manifests: [
                    Descriptor(mediaType: .imageIndex, digest: try Digest.of(level), size: Int64(level.count))
                ]))
            documents["\(try Digest.of(level))"] = level
        }
        let (top, known) = (level, documents)
        let server = try ScriptedServer { request in
            if request.path.hasSuffix("/manifests/v1") { return FakeImage.document(top, .imageIndex) }
            let name = request.path.split(separator: "/").last.map(String.init) ?? ""
            return known[name].map { FakeImage.document($0, .imageIndex) } ?? image.reply(to: request)
        }
        let content = try TestContent()
        try await RegistryClient.with { client in
            let error = await failure {
                _ = try await client.pull(
                    ImageReference("\(server.host)/box:v1"), platforms: .all, into: content.store)
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.description.contains("nests indexes") == true, "\(error?.description ?? "")")
        }
    }
}
