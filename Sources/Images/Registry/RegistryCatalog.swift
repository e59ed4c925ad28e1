internal import Core
public import OCISpec

/// What a registry has in a repository, and taking it away.
extension RegistryClient {
    private static let tagPageLimit = 1000
    private static let tagDocumentLimit = 4 << 20

    private struct TagList: Decodable {
        var tags: [String]?
    }

    /// The tags of a repository, in the registry's order (distribution-spec 1.1, "Listing Tags").
    ///
    /// - Throws: `BerthError`: `notFound`; `resourceExhausted` for more than a thousand pages.
    public func tags(
        of reference: ImageReference, credentials: RegistryCredentials = .anonymous
    ) async throws -> [String] {
        let what = "tags of \"\(reference.name)\""
        return try await route(to: reference, credentials).firstAnswer(what, that: .resolve) { session in
            var path: String? = "tags/list?n=1000"
            var tags: [String] = []
            for _ in 0..<Self.tagPageLimit {
                guard let place = path else { return tags }
                let page = try await self.tagPage(place, session, what)
                tags += page.tags
                path = page.next
            }
            throw BerthError(.resourceExhausted, "\(what) have more than \(Self.tagPageLimit) pages")
        }
    }

    private func tagPage(
        _ path: String, _ session: RegistrySession, _ what: String
    ) async throws -> (tags: [String], next: String?) {
        try await retrying(what, attempts: session.attempts) {
            let request = session.request(path)
            let response = try await session.send(request)
            guard response.status.code == 200 else { throw await session.failure(response, what: what) }
            let bytes = try await self.document(response, limit: Self.tagDocumentLimit, what: what)
            let list = try StrictJSON.decode(TagList.self, from: bytes, what: what, limit: Self.tagDocumentLimit)
            return (list.tags ?? [], try RegistryAddress.nextPage(response.headers["Link"], after: request.url))
        }
    }

    /// Deletes what the reference names: the tag if it has one, else the manifest of its digest with all of its tags
    /// (distribution-spec 1.1, "Content Management").
    ///
    /// - Throws: `BerthError`: `notFound`; `unimplemented` where the registry does not allow it.
    public func delete(_ reference: ImageReference, credentials: RegistryCredentials = .anonymous) async throws {
        guard reference.tag != nil || reference.digest != nil else {
            throw BerthError.invalid(field: "reference", value: "\(reference)", rule: "must have a tag or a digest")
        }
        let session = try session(for: reference, credentials)
        let name = reference.tag ?? "\(reference.digest.map { "\($0)" } ?? "")"
        let what = "image \"\(reference)\""
        try await retrying(what, attempts: session.attempts) {
            var request = session.request("manifests/\(name)")
            request.method = .DELETE
            let response = try await session.send(request)
            switch response.status.code {
            case 200...202: await self.drain(response)
            case 400 where reference.tag != nil, 405:
                let refusal = await session.failure(response, what: what)
                throw BerthError(
                    .unimplemented, "registry \(session.host.name) does not delete \(what)", cause: refusal,
                    advice: reference.tag == nil ? nil : "some registries delete by digest only")
            default: throw await session.failure(response, what: what)
            }
        }
    }
}

extension RegistryAddress {
    /// The address of the next page of a list (RFC 8288: `<URL>; rel="next"`); it has to be at the same origin.
    static func nextPage(_ links: [String], after url: String) throws -> String? {
        for link in links {
            let parts = link.split(separator: ";").map { $0.filter { $0 != " " } }
            guard let target = parts.first, target.hasPrefix("<"), target.hasSuffix(">"),
                parts.dropFirst().contains(where: { ["rel=\"next\"", "rel=next"].contains($0.lowercased()) })
            else { continue }
            let next = try resolve(String(target.dropFirst().dropLast()), against: url)
            guard origin(of: next) == origin(of: url) else {
                throw BerthError(.unavailable, "the next page is said to be at \"\(shown(next))\", another host")
            }
            return next
        }
        return nil
    }
}
