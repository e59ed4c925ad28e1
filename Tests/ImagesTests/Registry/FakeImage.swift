internal import Core
internal import Images
internal import LinuxKernel
internal import OCISpec
internal import Synchronization
internal import TestSupport

/// An image of random layers, and what a registry would answer for it.
struct FakeImage: Sendable {
    let config: [UInt8]
    let layers: [[UInt8]]
    let manifest: [UInt8]
    let manifestDigest: Digest
    private let blobs: [String: [UInt8]]

    init(layers sizes: [Int] = [100_000], platform: Platform = .host) throws {
        layers = sizes.map(Self.noise)
        config = try StrictJSON.encode(
            ImageConfig(platform: platform, rootfs: .init(diffIDs: layers.map { try Digest.of($0) })))
        manifest = try StrictJSON.encode(
            Manifest(
                config: Self.descriptor(.imageConfig, config),
                layers: try layers.map { try Self.descriptor(.layer, $0) }))
        manifestDigest = try Digest.of(manifest)
        blobs = Dictionary(
            try (layers + [config]).map { ("\(try Digest.of($0))", $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Bytes that nobody else has, quick to make: the generator of Marsaglia's "Xorshift RNGs" with 64 bits.
    private static func noise(_ count: Int) -> [UInt8] {
        var state = UInt64.random(in: 1...UInt64.max)
        return [UInt8](unsafeUninitializedCapacity: count + 7) { buffer, initialized in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for offset in stride(from: 0, to: count, by: 8) {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                raw.storeBytes(of: state, toByteOffset: offset, as: UInt64.self)
            }
            initialized = count
        }
    }

    static func descriptor(_ type: MediaType, _ bytes: [UInt8]) throws -> Descriptor {
        Descriptor(mediaType: type, digest: try Digest.of(bytes), size: Int64(bytes.count))
    }

    var descriptor: Descriptor {
        Descriptor(mediaType: .imageManifest, digest: manifestDigest, size: Int64(manifest.count))
    }

    /// What a good registry answers, ranges included.
    func reply(to request: ScriptedServer.Request) -> ScriptedServer.Reply {
        let name = request.path.split(separator: "/").last.map(String.init) ?? ""
        if request.path.contains("/manifests/") {
            guard name == "v1" || name == "\(manifestDigest)" else { return Self.missing }
            return Self.document(manifest, .imageManifest)
        }
        guard let blob = blobs[name] else { return Self.missing }
        guard let range = request.headers["range"], let start = Int(range.dropFirst("bytes=".count).dropLast()) else {
            return .init(body: blob)
        }
        return .init(
            status: 206, headers: [("Content-Range", "bytes \(start)-\(blob.count - 1)/\(blob.count)")],
            body: Array(blob[start...]))
    }

    static let missing = ScriptedServer.Reply.text(404, #"{"errors":[{"code":"UNKNOWN","message":"it is not here"}]}"#)

    static func document(_ bytes: [UInt8], _ type: MediaType) -> ScriptedServer.Reply {
        .init(headers: [("Content-Type", type.rawValue)], body: bytes)
    }
}

/// A content store in a directory of its own.
struct TestContent {
    let scratch: ScratchDirectory
    let store: ContentStore

    init() throws {
        scratch = try ScratchDirectory("content")
        store = try ContentStore(root: scratch.appending("content"))
    }
}

extension RegistryClient {
    /// A client that loses no time, shut down afterwards.
    static func with<Result>(
        _ change: (inout Configuration) -> Void = { _ in }, _ body: (RegistryClient) async throws -> Result
    ) async throws -> Result {
        var configuration = Configuration()
        configuration.backoff = .milliseconds(5)
        configuration.stallTimeout = 10
        configuration.attempts = 3
        change(&configuration)
        let client = RegistryClient(configuration: configuration)
        do {
            let result = try await body(client)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }
}

/// The error that `body` throws, if it is one of ours.
func failure(_ body: () async throws -> Void) async -> BerthError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? BerthError ?? BerthError(.internal, "not one of ours", cause: error)
    }
}

/// How often something has happened.
final class Counter: Sendable {
    private let value = Mutex(0)

    /// - Returns: the number of this time, from 1.
    @discardableResult
    func next() -> Int {
        value.withLock {
            $0 += 1
            return $0
        }
    }

    var count: Int { value.withLock { $0 } }
}
