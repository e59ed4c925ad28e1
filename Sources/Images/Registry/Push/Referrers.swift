internal import Core
public import OCISpec

extension RegistryClient {
    /// What refers to an image: signatures, bills of materials (distribution-spec 1.1, "Listing Referrers").
    ///
    /// - Parameters:
    ///   - reference: with a tag or digest; of an index, the index itself.
    ///   - artifactType: only those of this type; `nil` for all.
    public func referrers(
        of reference: ImageReference, artifactType: String? = nil, credentials: RegistryCredentials = .anonymous
    ) async throws -> [Descriptor] {
        let digest: Digest
        if let known = reference.digest {
            digest = known
        } else {
            digest = try await resolve(reference, credentials: credentials).digest
        }
        let all = try await route(to: reference, credentials).firstAnswer(
            "referrers of \(digest)", that: .referrers
        ) { try await Referrers(session: $0).list(digest, artifactType: artifactType) }
        // A registry need not filter.
        return artifactType.map { type in all.filter { $0.artifactType == type } } ?? all
    }
}

/// The list of what refers to a manifest, as the registry keeps it, or as an index under a tag where it keeps none.
struct Referrers {
    /// Pages of one list; each has at most `ImageDocument.sizeLimit` bytes.
    private static let pageLimit = 32

    let session: RegistrySession

    private var client: RegistryClient { session.client }

    func list(_ subject: Digest, artifactType: String?) async throws -> [Descriptor] {
        var path = "referrers/\(subject)"
        if let artifactType { path += "?" + RegistryAddress.form([("artifactType", artifactType)]) }
        var found: [Descriptor] = []
        for _ in 0..<Self.pageLimit {
            guard let page = try await page(path, subject) else { return try await tagged(subject)?.manifests ?? [] }
            found += page.entries
            guard let next = page.next else { return found }
            path = next
        }
        throw BerthError(.resourceExhausted, "registry \(session.host.name) has too many referrers of \(subject)")
    }

    /// `nil` where the registry has no such list.
    private func page(_ path: String, _ subject: Digest) async throws -> (entries: [Descriptor], next: String?)? {
        let what = "referrers of \(subject)"
        return try await client.retrying(what, attempts: session.attempts) {
            let request = session.request(path)
            let response = try await session.send(request)
            let type = response.headers.first(name: "Content-Type")?.prefix { $0 != ";" } ?? ""
            switch response.status.code {
            case 200 where type == MediaType.imageIndex.rawValue:
                let bytes = try await client.document(response, limit: ImageDocument.sizeLimit, what: what)
                let index = try StrictJSON.decode(Index.self, from: bytes, what: what, limit: ImageDocument.sizeLimit)
                return (index.manifests, try RegistryAddress.nextPage(response.headers["Link"], after: request.url))
            case 200, 404:
                await client.drain(response)
                return nil
            default: throw await session.failure(response, what: what)
            }
        }
    }

    // MARK: Under a tag (distribution-spec 1.1, "Referrers Tag Schema")

    private func tag(_ subject: Digest) -> String { "\(subject.algorithm.rawValue)-\(subject.hex)" }

    private func tagged(_ subject: Digest) async throws -> Index? {
        let what = "referrers of \(subject)"
        do {
            let (target, bytes) = try await session.manifest(tag(subject), expecting: nil, what: what)
            guard case .index(let index) = try ImageDocument.decode(bytes, mediaType: target.mediaType, what: what)
            else { return nil }
            return index
        } catch let error as BerthError where error.code == .notFound {
            return nil
        }
    }

    func add(_ entry: Descriptor, to subject: Digest) async throws {
        let what = "referrers of \(subject)"
        var index = try await tagged(subject) ?? Index(manifests: [])
        guard !index.manifests.contains(where: { $0.digest == entry.digest }) else { return }
        index.manifests.append(entry)
        let bytes = try StrictJSON.encode(index)
        _ = try await client.retrying(what, attempts: session.attempts) {
            try await session.put(bytes, .imageIndex, as: tag(subject), what: what)
        }
    }

    /// How a manifest is listed that has a subject; `nil` for one without.
    static func entry(for manifest: Descriptor, _ bytes: [UInt8]) throws -> (subject: Digest, entry: Descriptor)? {
        let document = try ImageDocument.decode(
            bytes, mediaType: manifest.mediaType, what: "manifest \(manifest.digest)")
        var entry = Descriptor(mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.size)
        switch document {
        case .manifest(let content):
            guard let subject = content.subject else { return nil }
            entry.artifactType = content.artifactType ?? content.config.mediaType.rawValue
            entry.annotations = content.annotations
            return (subject.digest, entry)
        case .index(let content):
            guard let subject = content.subject else { return nil }
            entry.artifactType = content.artifactType
            entry.annotations = content.annotations
            return (subject.digest, entry)
        }
    }
}
