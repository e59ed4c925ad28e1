import Core
import Images
import LinuxKernel
import OCISpec
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Pulls from registries that fail, lie or ask for credentials.
struct RegistryClientTests {
    let storage = try! Storage()

    private func pull(
        _ registry: FakeRegistry, _ name: String = "lib/app:v1", credentials: RegistryCredentials = .anonymous,
        _ configure: (inout RegistryClient.Configuration) -> Void = { _ in }
    ) async throws -> PulledImage {
        var configuration = RegistryClient.Configuration()
        configuration.attempts = 3
        configuration.stallTimeout = 2
        configure(&configuration)
        let client = RegistryClient(configuration: configuration)
        do {
            let image = try await client.pull(
                ImageReference("127.0.0.1:\(registry.port)/\(name)"), credentials: credentials, into: storage.content)
            await client.shutdown()
            return image
        } catch {
            await client.shutdown()
            throw error
        }
    }

    private func fails(
        _ code: BerthError.Code, _ says: String, _ image: TestImage,
        _ answer: @escaping @Sendable (FakeRegistry.Request) -> FakeRegistry.Response
    ) async throws {
        let registry = try FakeRegistry(answer)
        defer { registry.stop() }
        let error = await #expect(throws: BerthError.self) { _ = try await pull(registry) }
        #expect(error?.code == code, "\(String(describing: error))")
        #expect(error.map { "\($0)".contains(says) } == true, "\(String(describing: error))")
        #expect(!storage.content.contains(try image.layerDigest))
    }

    @Test("an image is pulled whole and every digest is right")
    func pulls() async throws {
        let image = try TestImage()
        let registry = try FakeRegistry { image.answer($0) }
        let pulled = try await pull(registry)
        #expect(pulled.target.digest == image.manifestDigest)
        #expect(try storage.content.read(image.layerDigest, limit: 1 << 20) == image.layer)
        #expect(try await pull(registry, "lib/app@\(image.manifestDigest)").target == pulled.target)
    }

    @Test("a broken transfer goes on where it stopped, by range")
    func resumes() async throws {
        let image = try TestImage(files: 50, size: 4000)
        let layer = "\(try image.layerDigest)"
        let tries = Mutex(0)
        let registry = try FakeRegistry { request in
            var response = image.answer(request)
            let isFirst = request.target.hasSuffix(layer) && tries.withLock { count in
                count += 1
                return count == 1
            }
            if isFirst { response.cutAfter = 100_000 }
            return response
        }
        _ = try await pull(registry)
        let ranges = registry.requests.filter { $0.target.hasSuffix(layer) }.map { $0.headers["range"] ?? "" }
        #expect(ranges == ["", "bytes=100000-"])
        #expect(try storage.content.read(image.layerDigest, limit: 1 << 20) == image.layer)
    }

    @Test("a server that ignores the range is read from the start")
    func rangeIgnored() async throws {
        let image = try TestImage(files: 50, size: 4000)
        let layer = "\(try image.layerDigest)"
        let tries = Mutex(0)
        let registry = try FakeRegistry { request in
            guard request.target.hasSuffix(layer) else { return image.answer(request) }
            var response = FakeRegistry.Response.ok(image.layer)
            if tries.withLock({ $0 += 1; return $0 == 1 }) { response.cutAfter = 5000 }
            return response
        }
        _ = try await pull(registry)
        #expect(try storage.content.read(image.layerDigest, limit: 1 << 20) == image.layer)
    }

    @Test("429 and 5xx are tried again, and Retry-After is obeyed")
    func retries() async throws {
        let image = try TestImage()
        let tries = Mutex(0)
        let registry = try FakeRegistry { request in
            switch tries.withLock({ $0 += 1; return $0 }) {
            case 1: .status(429, ("Retry-After", "1"))
            case 2: .status(503)
            default: image.answer(request)
            }
        }
        let start = ContinuousClock.now
        _ = try await pull(registry)
        #expect(ContinuousClock.now - start > .seconds(1))
    }

    @Test("a token is fetched for the challenge and used; the password goes to the token server only")
    func bearer() async throws {
        let image = try TestImage()
        let tokens = try FakeRegistry { request in
            #expect(request.headers["authorization"] == "Basic dXNlcjpwYXNz")
            #expect(request.target.contains("service=reg"))
            #expect(request.target.contains("scope=repository%3Alib%2Fapp%3Apull"))
            return .ok(Array(#"{"token":"T1"}"#.utf8))
        }
        let port = tokens.port
        let registry = try FakeRegistry { request in
            guard request.headers["authorization"] == "Bearer T1" else {
                #expect(request.headers["authorization"] == nil)
                return .status(
                    401,
                    (
                        "WWW-Authenticate",
                        "Bearer realm=\"http://127.0.0.1:\(port)/token\",service=\"reg\",scope=\"repository:lib/app:pull\""
                    ))
            }
            return image.answer(request)
        }
        _ = try await pull(registry, credentials: .basic(username: "user", password: "pass"))
        #expect(!tokens.requests.isEmpty)
    }

    @Test("an identity token is exchanged, a token that expires is fetched again")
    func refreshes() async throws {
        let image = try TestImage()
        let issued = Mutex(0)
        let tokens = try FakeRegistry { request in
            #expect(request.method == "POST")
            #expect(request.body.contains("grant_type=refresh_token"))
            #expect(request.body.contains("refresh_token=secret"))
            return .ok(Array(#"{"access_token":"T\#(issued.withLock { $0 += 1; return $0 })"}"#.utf8))
        }
        let port = tokens.port
        let manifestServed = Mutex(false)
        let registry = try FakeRegistry { request in
            // After the manifest the first token is no longer good.
            let wanted = manifestServed.withLock { $0 } ? "Bearer T2" : "Bearer T1"
            let given = request.headers["authorization"] ?? ""
            guard given >= wanted else {
                return .status(401, ("WWW-Authenticate", "Bearer realm=\"http://127.0.0.1:\(port)/t\""))
            }
            if request.target.contains("/manifests/") { manifestServed.withLock { $0 = true } }
            return image.answer(request)
        }
        _ = try await pull(registry, credentials: .identityToken("secret"))
        #expect(issued.withLock { $0 } >= 2)
    }

    @Test("basic credentials are sent when asked for, and wrong ones are an error")
    func basic() async throws {
        let image = try TestImage()
        let registry = try FakeRegistry { request in
            request.headers["authorization"] == "Basic dXNlcjpwYXNz"
                ? image.answer(request) : .status(401, ("WWW-Authenticate", "Basic realm=\"r\""))
        }
        _ = try await pull(registry, credentials: .basic(username: "user", password: "pass"))
        for credentials in [RegistryCredentials.anonymous, .basic(username: "user", password: "wrong")] {
            let error = await #expect(throws: BerthError.self) { _ = try await pull(registry, credentials: credentials) }
            #expect(error?.code == .unauthenticated)
        }
    }

    @Test("credentials do not follow a redirect to another host")
    func redirect() async throws {
        let image = try TestImage()
        let storageHost = try FakeRegistry { request in
            #expect(request.headers["authorization"] == nil)
            return image.answer(request)
        }
        let port = storageHost.port
        let registry = try FakeRegistry { request in
            guard request.headers["authorization"] != nil else {
                return .status(401, ("WWW-Authenticate", "Basic realm=\"r\""))
            }
            guard request.target.contains("/blobs/") else { return image.answer(request) }
            return .status(307, ("Location", "http://127.0.0.1:\(port)\(request.target)"))
        }
        _ = try await pull(registry, credentials: .basic(username: "user", password: "pass"))
        #expect(storageHost.requests.count == 2)
    }

    @Test("a redirect that never ends is given up")
    func endlessRedirect() async throws {
        try await fails(.unavailable, "redirects", TestImage()) { .status(302, ("Location", $0.target + "x")) }
    }

    @Test("content with a wrong digest is refused and not kept")
    func wrongDigest() async throws {
        let image = try TestImage()
        try await fails(.failedPrecondition, "digest", image) { request in
            var response = image.answer(request)
            if request.target.contains("/blobs/"), !response.body.isEmpty { response.body[0] ^= 1 }
            return response
        }
        #expect(try storage.content.ingests().isEmpty)
    }

    @Test("a manifest other than the digest asked for is refused")
    func wrongManifest() async throws {
        let image = try TestImage()
        let registry = try FakeRegistry { image.answer($0) }
        let error = await #expect(throws: BerthError.self) {
            _ = try await pull(registry, "lib/app@sha256:\(String(repeating: "0", count: 64))")
        }
        #expect(error?.code == .dataLoss)
    }

    @Test("more bytes than announced end the transfer")
    func endlessBody() async throws {
        let image = try TestImage()
        try await fails(.resourceExhausted, "longer than the announced", image) { request in
            var response = image.answer(request)
            if request.target.contains("/blobs/") { response.body += [UInt8](repeating: 0, count: 1 << 20) }
            return response
        }
    }

    @Test("a lying Content-Length does not hang or pass")
    func lyingLength() async throws {
        let image = try TestImage()
        try await fails(.unavailable, "given up", image) { request in
            var response = image.answer(request)
            if request.target.contains("/blobs/") { response.contentLength = response.body.count + 10 }
            return response
        }
    }

    @Test("a stalled transfer is given up")
    func stalled() async throws {
        let image = try TestImage()
        try await fails(.unavailable, "given up", image) { request in
            var response = image.answer(request)
            if request.target.contains("/blobs/") { response.drip = .milliseconds(990) }
            if request.target.contains("/blobs/") { response.contentLength = response.body.count + 1 }
            return response
        }
    }

    @Test("a manifest beyond 4 MiB is refused before it is read")
    func hugeManifest() async throws {
        try await fails(.resourceExhausted, "larger than", TestImage()) { _ in
            .ok([UInt8](repeating: 0x20, count: 5 << 20), type: .imageManifest)
        }
    }

    @Test(
        "documents that are not what they claim are refused",
        arguments: [
            (#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, MediaType.imageIndex),
            (#"{"schemaVersion":2,"manifests":[]}"#, .imageManifest), ("[1,2", .imageManifest), ("", .imageManifest),
        ])
    func badDocuments(text: String, type: MediaType) async throws {
        try await fails(.invalidArgument, "", TestImage()) { _ in .ok(Array(text.utf8), type: type) }
    }

    @Test("an index that leads to itself ends")
    func cyclicIndex() async throws {
        // A cycle by digest cannot be made; a registry can serve the same index for every digest, which is then not that digest.
        let inner = try Digest.of([1])
        let index = try StrictJSON.encode(
            Index(manifests: [Descriptor(mediaType: .imageIndex, digest: inner, size: 300, platform: .host)]))
        try await fails(.dataLoss, "", TestImage()) { _ in .ok(index, type: .imageIndex) }
    }

    @Test("an image for other platforms only names them")
    func otherPlatforms() async throws {
        let index = try StrictJSON.encode(
            Index(manifests: [
                Descriptor(
                    mediaType: .imageManifest, digest: Digest.of([1]), size: 3, platform: Platform("linux/s390x"))
            ]))
        try await fails(.notFound, "linux/s390x", TestImage()) { _ in .ok(index, type: .imageIndex) }
    }

    @Test("a registry that is not there is unavailable, an image that is not there is not found")
    func missing() async throws {
        let registry = try FakeRegistry { _ in .status(404) }
        let error = await #expect(throws: BerthError.self) { _ = try await pull(registry) }
        #expect(error?.code == .notFound)
        registry.stop()
        let other = await #expect(throws: BerthError.self) { _ = try await pull(registry) { $0.attempts = 2 } }
        #expect(other?.code == .unavailable)
    }

    @Test("cancelling ends a pull at once, and the next one goes on")
    func cancellation() async throws {
        let image = try TestImage(files: 50, size: 4000)
        let slow = Mutex(true)
        let registry = try FakeRegistry { request in
            var response = image.answer(request)
            if slow.withLock({ $0 }), request.target.contains("/blobs/") { response.drip = .milliseconds(5) }
            return response
        }
        let task = Task { _ = try await pull(registry) }
        try await Task.sleep(for: .milliseconds(800))
        let start = ContinuousClock.now
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        #expect(ContinuousClock.now - start < .seconds(2))
        slow.withLock { $0 = false }
        _ = try await pull(registry)
        #expect(storage.content.contains(try image.layerDigest))
    }
}
