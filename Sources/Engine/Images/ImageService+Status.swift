internal import Core
internal import OCISpec
internal import Store

extension ImageService {
    /// All images that are whole for this host, by ID. Names whose content is not here (a client is still fetching it, or
    /// fetched another platform) are left out.
    public func list(namespace: String = criNamespace) async throws -> [ImageStatus] {
        Self.group(resolved(try await allNamed(namespace: namespace)))
    }

    /// The image that `reference` means: a name in Docker's short or long form, an ID (with or without `sha256:`, also
    /// the beginning of one), or the digest of a manifest or index.
    ///
    /// - Returns: `nil` if there is none.
    /// - Throws: `BerthError` (`invalidArgument`) if the beginning of an ID fits several images.
    public func status(of reference: String, namespace: String = criNamespace) async throws -> ImageStatus? {
        guard let id = try await find(reference, namespace: namespace).first?.image.config.digest else { return nil }
        return Self.group(
            resolved(try await allNamed(namespace: namespace)) { $0.image.config.digest == id }
        ).first
    }

    typealias Resolved = (name: NamedImage, image: ResolvedImage)

    /// The names that `reference` means, all of the same image.
    func find(_ reference: String, namespace: String) async throws -> [Resolved] {
        guard !reference.isEmpty else {
            throw BerthError.invalid(field: "image", value: "", rule: "must not be empty")
        }
        // Where an ID is asked for, the names that the image was given come before the one that is its ID.
        let names = (try? Digest(reference)) == nil ? spellings(of: reference) : []
        let stored = try await remembered.names(of: namespace)
        if let image = names.lazy.compactMap({ stored[$0] }).first, let resolved = try? resolver.resolve(image.target),
            isWhole(resolved)
        {
            return [(image, resolved)]
        }
        if let digest = try? Digest(reference) {
            return resolved(stored.all) {
                [$0.image.config.digest, $0.image.manifest.digest, $0.name.target.digest].contains(digest)
            }
        }
        let all = resolved(stored.all)
        // NAME@DIGEST also finds an image that was pulled by tag and has that digest.
        if let wanted = try? policy.reference(reference), let digest = wanted.digest {
            return all.filter { entry in
                (try? ImageReference(entry.name.name))?.name == wanted.name
                    && [entry.name.target.digest, entry.image.manifest.digest].contains(digest)
            }
        }
        let start = reference.dropping(prefix: "sha256:") ?? reference
        guard start.utf8.count >= 4, start.utf8.allSatisfy({ Self.isHex($0) }) else { return [] }
        let candidates = all.filter { $0.image.config.digest.hex.hasPrefix(start) }
        guard Set(candidates.map(\.image.config.digest)).count <= 1 else {
            throw BerthError.invalid(field: "image", value: reference, rule: "is the beginning of several image IDs")
        }
        return candidates
    }

    /// The name by which a container of `image` is shown: the one that was asked for, where the image has it.
    func name(of image: ImageStatus, askedFor request: ImageRequest) -> String {
        let names = image.tags + image.digests
        let wanted = [request.userSpecifiedImage, request.image].filter { !$0.isEmpty }.flatMap(spellings)
        return wanted.first(where: names.contains) ?? names.first ?? request.image
    }

    /// The names under which `reference` may be stored: as it is, and completed as Docker does.
    func spellings(of reference: String) -> [String] {
        guard let parsed = try? policy.reference(reference) else { return [reference] }
        let whole = parsed.withDefaultTag.description
        return whole == reference ? [reference] : [whole, reference]
    }

    private func resolved(
        _ names: [NamedImage], where isWanted: (Resolved) -> Bool = { _ in true }
    ) -> [Resolved] {
        (names.filter { !$0.isIdentity } + names.filter(\.isIdentity)).compactMap { name in
            // A node has many images; the files of what is known not to be wanted need not be looked at.
            if let known = resolver.known(name.target.digest), !isWanted((name, known)) { return nil }
            guard let image = try? resolver.resolve(name.target), isWanted((name, image)), isWhole(image) else {
                return nil
            }
            return (name, image)
        }
    }

    /// A layer that was found damaged is put aside: its image counts as missing, so that it is pulled again.
    private func isWhole(_ image: ResolvedImage) -> Bool {
        image.layers.allSatisfy { storage.blobs.contains($0.digest) }
    }

    private static func group(_ entries: [Resolved]) -> [ImageStatus] {
        Dictionary(grouping: entries) { $0.image.config.digest }.compactMap { id, entries in
            guard let image = entries.first?.image else { return nil }
            var status = ImageStatus(
                id: id, tags: [], digests: [], manifest: image.manifest.digest, size: image.size,
                config: image.document,
                labels: [:])
            for entry in entries {
                status.labels.merge(entry.name.labels) { first, _ in first }
                guard !entry.name.isIdentity, let reference = try? ImageReference(entry.name.name) else { continue }
                if reference.digest != nil {
                    status.digests.append(entry.name.name)
                } else {
                    status.tags.append(entry.name.name)
                }
            }
            return status
        }.sorted { $0.id.hex < $1.id.hex }
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
