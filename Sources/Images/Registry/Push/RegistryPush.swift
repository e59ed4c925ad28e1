internal import AsyncHTTPClient
internal import Core
internal import NIOCore
public import OCISpec

extension RegistryClient {
    /// Sends an image or artifact to a registry: every blob that it does not have yet, then the manifests, the one that gets the
    /// name last (distribution-spec 1.1, "Push"). An artifact with a subject is listed among its referrers.
    ///
    /// Of an index, the manifests that `content` lacks are left out; a registry may refuse the index then.
    ///
    /// - Parameters:
    ///   - reference: with a tag, or without one for `latest`; a digest in it must be the target's.
    ///   - sources: repositories at the same registry that may have the blobs: they are mounted from there instead of sent.
    ///   - progress: told of each blob; from any thread.
    /// - Throws: `BerthError`: `notFound` that names the blob that is missing; `unauthenticated`, `permissionDenied`, `unavailable`.
    public func push(
        _ target: Descriptor, from content: ContentStore, to reference: ImageReference,
        credentials: RegistryCredentials = .anonymous, mountingFrom sources: [String] = [],
        progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws {
        if let digest = reference.digest, digest != target.digest {
            throw BerthError.invalid(
                field: "reference", value: "\(reference)", rule: "has another digest than \(target.digest)")
        }
        let push = RegistryPush(
            session: try session(for: reference, credentials), client: self, content: content,
            sources: sources.filter { $0 != reference.repository }, progress: progress)
        var plan = RegistryPush.Plan()
        try push.plan(target, into: &plan)
        for blob in plan.blobs { progress(PullProgress(descriptor: blob, received: 0, state: .waiting)) }
        try await push.send(blobs: plan.blobs)
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
    let sources: [String]
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

    /// Several at a time.
    func send(blobs: [Descriptor]) async throws {
        var queue = blobs[...]
        try await withThrowingTaskGroup(of: Void.self) { group in
            func next() {
                guard let blob = queue.popFirst() else { return }
                group.addTask { try await send(blob) }
            }
            for _ in 0..<max(client.configuration.concurrentBlobs, 1) { next() }
            while try await group.next() != nil { next() }
        }
    }

    private func send(_ blob: Descriptor) async throws {
        let what = "blob \(blob.digest)"
        let isThere = try await client.retrying(what, attempts: session.attempts) { try await has(blob) }
        if isThere {
            report(blob, blob.size, .exists)
            return
        }
        let upload = BlobUpload(session: session, blob: blob, content: content) { report(blob, $0, .downloading) }
        let isMounted = try await upload.run(mountingFrom: sources)
        report(blob, blob.size, isMounted ? .exists : .done)
    }

    func send(_ manifest: Descriptor, as name: String) async throws {
        let bytes = try content.read(manifest, limit: ImageDocument.sizeLimit)
        let what = "manifest \(manifest.digest)"
        let subject = try await client.retrying(what, attempts: session.attempts) {
            try await session.put(bytes, manifest.mediaType, as: name, what: what)
        }
        guard let listed = try Referrers.entry(for: manifest, bytes), subject == nil else { return }
        // A registry that does not know referrers has them in an index under a tag of their subject.
        try await Referrers(session: session).add(listed.entry, to: listed.subject)
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

    private func report(_ blob: Descriptor, _ sent: Int64, _ state: PullProgress.State) {
        progress(PullProgress(descriptor: blob, received: sent, state: state))
    }
}

extension RegistrySession {
    /// Stores a document.
    ///
    /// - Returns: `OCI-Subject` of the answer: the registry lists the document among its subject's referrers.
    func put(_ bytes: [UInt8], _ type: MediaType, as name: String, what: String) async throws -> String? {
        var request = request("manifests/\(name)")
        request.method = .PUT
        request.headers.add(name: "Content-Type", value: type.rawValue)
        request.body = .bytes(ByteBuffer(bytes: bytes))
        let response = try await send(request)
        guard response.status.code == 201 else { throw await failure(response, what: what) }
        await client.drain(response)
        return response.headers.first(name: "OCI-Subject")
    }
}
