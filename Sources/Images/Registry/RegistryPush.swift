internal import AsyncHTTPClient
internal import Core
internal import NIOCore
public import OCISpec

extension RegistryClient {
    /// Sends an image to a registry: every blob that it does not have yet in one piece, then the manifests, the one that gets
    /// the name last (distribution-spec 1.1, "Push").
    ///
    /// Of an index, the manifests that `content` lacks are left out; a registry may refuse the index then.
    ///
    /// - Parameters:
    ///   - reference: with a tag, or without one for `latest`; a digest in it must be the target's.
    ///   - progress: told of each blob; from any thread.
    /// - Throws: `BerthError`: `notFound` that names the blob that is missing; `unauthenticated`, `permissionDenied`, `unavailable`.
    public func push(
        _ target: Descriptor, from content: ContentStore, to reference: ImageReference,
        credentials: RegistryCredentials = .anonymous, progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws {
        if let digest = reference.digest, digest != target.digest {
            throw BerthError.invalid(
                field: "reference", value: "\(reference)", rule: "has another digest than \(target.digest)")
        }
        let push = RegistryPush(
            session: session(for: reference, credentials), client: self, content: content, progress: progress)
        var plan = RegistryPush.Plan()
        try push.plan(target, into: &plan)
        for blob in plan.blobs { progress(PullProgress(descriptor: blob, received: 0, state: .waiting)) }
        for blob in plan.blobs { try await push.send(blob) }
        for manifest in plan.manifests {
            let isTarget = manifest.digest == target.digest && reference.digest == nil
            try await push.send(manifest, as: isTarget ? reference.effectiveTag : manifest.digest.description)
        }
    }
}

/// One push under way.
struct RegistryPush {
    /// What has to be sent.
    struct Plan {
        fileprivate(set) var blobs: [Descriptor] = []
        /// Each after what it refers to.
        fileprivate(set) var manifests: [Descriptor] = []
        fileprivate var seen: Set<Digest> = []
    }

    let session: RegistrySession
    let client: RegistryClient
    let content: ContentStore
    let progress: @Sendable (PullProgress) -> Void

    func plan(_ descriptor: Descriptor, into plan: inout Plan, depth: Int = 0) throws {
        guard depth < 8 else {
            throw BerthError(.invalidArgument, "index \(descriptor.digest) is nested more than 8 deep")
        }
        guard plan.seen.insert(descriptor.digest).inserted else { return }
        let bytes = try content.read(descriptor, limit: ImageDocument.sizeLimit)
        switch try ImageDocument.decode(bytes, mediaType: descriptor.mediaType, what: "manifest \(descriptor.digest)") {
        case .manifest(let manifest):
            for blob in [manifest.config] + manifest.layers where plan.seen.insert(blob.digest).inserted {
                guard content.contains(blob.digest) else { throw BerthError.notFound("blob", blob.digest.description) }
                plan.blobs.append(blob)
            }
        case .index(let index):
            for child in index.manifests where content.contains(child.digest) {
                try self.plan(child, into: &plan, depth: depth + 1)
            }
        }
        plan.manifests.append(descriptor)
    }

    func send(_ blob: Descriptor) async throws {
        let what = "blob \(blob.digest)"
        let isThere = try await client.retrying(what, attempts: session.attempts) { try await has(blob) }
        if isThere {
            report(blob, blob.size, .exists)
            return
        }
        try await client.retrying(what, attempts: session.attempts) { try await upload(blob) }
        report(blob, blob.size, .done)
    }

    func send(_ manifest: Descriptor, as name: String) async throws {
        let bytes = try content.read(manifest, limit: ImageDocument.sizeLimit)
        let what = "manifest \(manifest.digest)"
        try await client.retrying(what, attempts: session.attempts) {
            var request = session.request("manifests/\(name)")
            request.method = .PUT
            request.headers.add(name: "Content-Type", value: manifest.mediaType.rawValue)
            request.body = .bytes(ByteBuffer(bytes: bytes))
            let response = try await session.send(request)
            guard response.status.code == 201 else { throw await session.failure(response, what: what) }
            await client.drain(response)
        }
    }

    private func has(_ blob: Descriptor) async throws -> Bool {
        var request = session.request("blobs/\(blob.digest)")
        request.method = .HEAD
        let response = try await session.send(request)
        switch response.status.code {
        case 200, 404:
            await client.drain(response)
            return response.status.code == 200
        default: throw await session.failure(response, what: "blob \(blob.digest)")
        }
    }

    private func upload(_ blob: Descriptor) async throws {
        let reader = try content.open(blob.digest)
        guard reader.size == blob.size else {
            throw BerthError(
                .dataLoss, "blob \(blob.digest) has \(reader.size) bytes, its descriptor says \(blob.size)")
        }
        var begin = session.request("blobs/uploads/")
        begin.method = .POST
        begin.headers.add(name: "Content-Length", value: "0")
        let begun = try await session.send(begin)
        guard begun.status.code == 202, let location = begun.headers.first(name: "Location") else {
            throw await session.failure(begun, what: "upload of blob \(blob.digest)")
        }
        await client.drain(begun)

        let address = try session.encrypted(RegistryAddress.resolve(location, against: begin.url))
        let digest = RegistryAddress.form([("digest", blob.digest.description)])
        var request = session.request(address + (address.contains("?") ? "&" : "?") + digest)
        request.method = .PUT
        request.headers.add(name: "Content-Type", value: "application/octet-stream")
        request.body = .stream(
            BlobPieces(reader: reader) { report(blob, $0, .downloading) }, length: .known(blob.size))
        // The answer comes when all of the blob is there; a stall ends it sooner.
        let response = try await session.send(request, limit: .hours(12))
        guard response.status.code == 201 else {
            throw await session.failure(response, what: "upload of blob \(blob.digest)")
        }
        await client.drain(response)
    }

    private func report(_ blob: Descriptor, _ sent: Int64, _ state: PullProgress.State) {
        progress(PullProgress(descriptor: blob, received: sent, state: state))
    }
}

/// A blob as the body of a request; each iteration starts at its beginning.
private struct BlobPieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let reader: BlobReader
    let sent: @Sendable (Int64) -> Void

    struct AsyncIterator: AsyncIteratorProtocol {
        let pieces: BlobPieces
        var offset: Int64 = 0

        mutating func next() async throws -> ByteBuffer? {
            let bytes = try pieces.reader.read(at: offset, count: 256 << 10)
            guard !bytes.isEmpty else { return nil }
            offset += Int64(bytes.count)
            pieces.sent(offset)
            return ByteBuffer(bytes: bytes)
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pieces: self) }
}
