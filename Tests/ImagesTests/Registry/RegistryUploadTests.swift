internal import Core
internal import OCISpec
internal import Synchronization
internal import Testing

@testable internal import Images

/// How blobs and artifacts reach a registry, and what it then lists.
struct RegistryUploadTests {
    @Test("a blob that another repository has is mounted from there, not sent", arguments: [true, false])
    func mounted(isReal: Bool) async throws {
        let registry = try await DockerRegistry()
        let content = try TestContent()
        let image = try DockerRegistryTests.image(in: content)
        let states = States()
        try await RegistryClient.with { client in
            if isReal {
                try await client.push(image, from: content.store, to: ImageReference("\(registry.host)/first:v1"))
            }
            // A repository without the blob, or none at all, is no reason to fail: it is sent then.
            try await client.push(
                image, from: content.store, to: ImageReference("\(registry.host)/second:v1"), mountingFrom: ["first"]
            ) { states.add($0) }
            let again = try TestContent()
            let pulled = try await client.pull(ImageReference("\(registry.host)/second:v1"), into: again.store)
            #expect(pulled.target.digest == image.digest)
        }
        #expect(states.count(.done) == (isReal ? 0 : 2))
        #expect(states.count(.exists) == (isReal ? 2 : 0))
    }

    @Test("a blob is sent in chunks where that is wanted")
    func chunked() async throws {
        let registry = try await DockerRegistry()
        let content = try TestContent()
        let image = try DockerRegistryTests.image(in: content)
        let reference = try ImageReference("\(registry.host)/box:v1")
        try await RegistryClient.with({ $0.uploadChunk = 1000 }) { client in
            try await client.push(image, from: content.store, to: reference)
            let again = try TestContent()
            #expect(try await client.pull(reference, into: again.store).target.digest == image.digest)
        }
    }

    @Test("a chunk that fails goes on where the registry says that it has got")
    func resumedChunk() async throws {
        let content = try TestContent()
        let image = try FakeImage(layers: [2500])
        for bytes in image.layers + [image.config, image.manifest] { try content.store.write(bytes) }
        let layer = "\(try Digest.of(image.layers[0]))"
        let patches = Counter()
        let server = try ScriptedServer { request in
            switch (request.method, request.path) {
            case ("HEAD", _): return FakeImage.missing
            case ("POST", _): return .init(status: 202, headers: [("Location", "/v2/box/blobs/uploads/u?s=0")])
            case ("PATCH", _):
                if request.body.count == 1000, patches.next() == 2 { return .text(503, "") }
                return .init(status: 202, headers: [("Location", "/v2/box/blobs/uploads/u?s=1")])
            // It has taken 400 bytes of the second chunk.
            case ("GET", _): return .init(status: 204, headers: [("Range", "0-1399")])
            default: return .init(status: 201)
            }
        }
        try await RegistryClient.with({
            $0.uploadChunk = 1000
            $0.concurrentBlobs = 1
        }) { client in
            try await client.push(image.descriptor, from: content.store, to: ImageReference("\(server.host)/box:v1"))
        }
        let ranges = server.requests.filter { $0.method == "PATCH" }.map { $0.headers["content-range"] }
        #expect(ranges == ["0-999", "1000-1999", "1400-2399", "2400-2499"])
        let put = server.requests.filter {
            $0.method == "PUT" && $0.path.hasSuffix("/uploads/u") && $0.query.contains(layer.dropFirst(7))
        }
        #expect(put.map(\.query) == ["s=1&digest=sha256%3A\(layer.dropFirst(7))"])
    }

    @Test("tags are listed page by page, and deleted with their manifest")
    func tagsAndDelete() async throws {
        let registry = try await DockerRegistry()
        let content = try TestContent()
        let image = try DockerRegistryTests.image(in: content)
        try await RegistryClient.with { client in
            let repository = try ImageReference("\(registry.host)/box")
            let missing = await failure { _ = try await client.tags(of: repository) }
            #expect(missing?.code == .notFound)
            for tag in ["a", "b", "c"] {
                try await client.push(image, from: content.store, to: ImageReference("\(registry.host)/box:\(tag)"))
            }
            #expect(try await client.tags(of: repository).sorted() == ["a", "b", "c"])
            // This registry deletes by digest only.
            let refused = await failure { try await client.delete(ImageReference("\(registry.host)/box:a")) }
            #expect(refused?.code == .unimplemented, "\(refused?.description ?? "")")
            try await client.delete(repository.pinned(to: image.digest))
            let gone = await failure { _ = try await client.resolve(ImageReference("\(registry.host)/box:a")) }
            #expect(gone?.code == .notFound)
            let nameless = await failure { try await client.delete(repository) }
            #expect(nameless?.code == .invalidArgument)
        }
    }

    @Test("pages of tags follow the registry's links, to no other host")
    func pages() async throws {
        let elsewhere = Counter()
        let server = try ScriptedServer { request in
            if request.query.contains("last=b") { return .text(200, #"{"tags": ["c"]}"#) }
            let link =
                elsewhere.count > 0
                ? "<http://other.example/v2/x>; rel=\"next\"" : "</v2/box/tags/list?last=b&n=2>; rel=\"next\""
            return .text(200, #"{"tags": ["a", "b"]}"#, [("Link", link)])
        }
        try await RegistryClient.with { client in
            let repository = try ImageReference("\(server.host)/box")
            #expect(try await client.tags(of: repository) == ["a", "b", "c"])
            elsewhere.next()
            let error = await failure { _ = try await client.tags(of: repository) }
            #expect(error?.description.contains("another host") == true, "\(error?.description ?? "")")
        }
    }

    @Test("what refers to an image is listed, also by a registry that knows no referrers", arguments: [true, false])
    func referrers(isKnown: Bool) async throws {
        let content = try TestContent()
        let image = try DockerRegistryTests.image(in: content)
        let registry = try await DockerRegistry()
        let config = Array("{}".utf8)
        let bill = Array("every part".utf8)
        for bytes in [config, bill] { try content.store.write(bytes) }
        var manifest = Manifest(
            config: try FakeImage.descriptor(.emptyJSON, config),
            layers: [try FakeImage.descriptor(MediaType(rawValue: "text/plain"), bill)])
        manifest.artifactType = "application/example.bill"
        manifest.subject = image
        let bytes = try StrictJSON.encode(manifest)
        try content.store.write(bytes)
        let artifact = try FakeImage.descriptor(.imageManifest, bytes)
        let listed = try StrictJSON.encode(
            Index(manifests: [
                Descriptor(
                    mediaType: artifact.mediaType, digest: artifact.digest, size: artifact.size,
                    artifactType: manifest.artifactType)
            ]))
        // The newer interface is played: Debian's registry has the older one.
        let server = try ScriptedServer { request in
            request.path.contains("/referrers/") ? FakeImage.document(listed, .imageIndex) : FakeImage.missing
        }
        let host = isKnown ? server.host : registry.host
        try await RegistryClient.with { client in
            let subject = try ImageReference("\(host)/box@\(image.digest)")
            if !isKnown {
                try await client.push(image, from: content.store, to: ImageReference("\(host)/box:v1"))
                #expect(try await client.referrers(of: subject).isEmpty)
                let name = try ImageReference("\(host)/box@\(artifact.digest)")
                try await client.push(artifact, from: content.store, to: name)
                try await client.push(artifact, from: content.store, to: name)
            }
            let found = try await client.referrers(of: subject, artifactType: "application/example.bill")
            #expect(found.map(\.digest) == [artifact.digest])
            #expect(try await client.referrers(of: subject, artifactType: "other").isEmpty)
        }
    }
}

/// The states that blobs went through.
private final class States: Sendable {
    private let seen = Mutex<[PullProgress.State]>([])

    func add(_ progress: PullProgress) { seen.withLock { $0.append(progress.state) } }

    func count(_ state: PullProgress.State) -> Int { seen.withLock { $0.filter { $0 == state }.count } }
}
