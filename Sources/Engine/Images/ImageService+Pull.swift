internal import Core
public import Images
internal import OCISpec
internal import Store

extension ImageService {
    /// Pulls and unpacks an image, unless another pull of the same image is under way, whose result this one gets too.
    ///
    /// The image gets the name `HOST/REPOSITORY:TAG` (if `reference` has no digest) and `HOST/REPOSITORY@DIGEST`.
    /// Nothing is named before everything is there; blobs of a pull that failed are garbage, and stay until it is
    /// collected for the next try to go on from.
    ///
    /// - Parameters:
    ///   - reference: in Docker's short or long form.
    ///   - progress: told of each blob; only of the pull that really transfers.
    public func pull(
        _ reference: String, namespace: String = criNamespace, credentials: RegistryCredentials = .anonymous,
        labels: [String: String] = [:], progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws -> ImageStatus {
        let parsed = try policy.reference(reference).withDefaultTag
        try NamespaceService.validate(namespace)
        var credentials = credentials
        if credentials == .anonymous, let logins { credentials = try await logins.credentials(for: parsed.domain) }
        let shown = credentials
        let events = PullEvents(storage.events, namespace: namespace, name: "\(parsed)")
        // Whoever shows other credentials must not get what those of another one paid for.
        let key = "\(namespace) \(parsed) \(shown.hashValue)"
        return try await pulls.run(key) { [self] in
            try await pullAlone(
                parsed, namespace: namespace, credentials: shown, labels: labels
            ) { step in
                events.tell(step)
                progress(step)
            }
        }
    }

    /// Whether a reference is of the registry that `server` names, as `docker login` does.
    func isRegistry(_ server: String, of reference: String) throws -> Bool {
        try RegistryLogins.domain(of: server) == policy.reference(reference).domain.lowercased()
    }

    private func pullAlone(
        _ reference: ImageReference, namespace: String, credentials: RegistryCredentials, labels: [String: String],
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws -> ImageStatus {
        try await leases.withLease(namespace: namespace, for: "pull \(reference)") { scope in
            let target = try await storage.gate.withOperation {
                let pull = try await registry.begin(
                    reference, platforms: .only(platform), credentials: credentials, into: storage.blobs,
                    progress: progress)
                try await policy.verification?.verify(reference, pull.image.target, logger: storage.logger)
                try await transfer(pull, scope: scope)
                try Failpoint.reach("pull.fetched")
                try await adopt(pull.image.target, from: reference, scope: scope)
                try Failpoint.reach("pull.adopted")
                return pull.image.target
            }
            let image = try resolver.resolve(target)
            _ = try await unpack(image, scope: scope)
            try Failpoint.reach("pull.unpacked")
            var names = [reference.pinned(to: target.digest).description]
            if reference.digest == nil { names.append(reference.description) }
            var labels = labels
            // Its digest's name has to be as well.
            if policy.isPinned(reference.description) { labels[PinnedLabel.name] = PinnedLabel.value }
            for name in names { try await assign(name, to: target, labels: labels, in: scope) }
            guard let status = try await status(of: "\(image.config.digest)", namespace: namespace) else {
                throw BerthError(.aborted, "image \"\(reference)\" was removed while it was being pulled")
            }
            return status
        }
    }

    /// Fetches an image's blobs and unpacks its layers as they come. The layers are held by the lease of `scope`.
    private func transfer(_ pull: RegistryPull, scope: StorageScope) async throws {
        try await pull.fetchConfig()
        let image = try resolver.resolve(pull.image.target)
        let arrivals = BlobArrivals()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pull.fetchBlobs(arrivals) }
            group.addTask { _ = try await self.unpackLayers(of: image, arrivals: arrivals, scope: scope) }
            try await group.waitForAll()
        }
    }

    /// Gives the namespace all blobs of `target` that are in the store, with the labels that keep them, in one
    /// transaction. Only inside the gate: until then nothing but the gate keeps the blobs.
    ///
    /// - Parameter source: where they came from: a push of another image may mount them from there, also one by containerd's
    ///   clients, which know the label.
    func adopt(_ target: Descriptor, from source: ImageReference? = nil, scope: StorageScope) async throws {
        let tree = try resolver.tree(of: target)
        let blobs = try tree.map {
            (digest: $0.descriptor.digest, labels: $0.labels, size: try storage.blobs.info($0.descriptor.digest).size)
        }
        let now = WallClock.now()
        try await storage.database.write { transaction in
            for blob in blobs {
                var record =
                    try transaction.content(blob.digest, namespace: scope.namespace)
                    ?? ContentRecord(
                        namespace: scope.namespace, digest: blob.digest, size: blob.size, createdAt: now, updatedAt: now
                    )
                record.labels.merge(blob.labels) { $1 }
                if let source { record.addSource(source) }
                record.updatedAt = now
                try transaction.put(record)
                try transaction.hold(blob.digest.description, type: LeaseResource.content, in: scope)
            }
        }
    }
}

extension ContentRecord {
    /// `containerd.io/distribution.source.HOST`: repositories, separated by commas.
    fileprivate mutating func addSource(_ reference: ImageReference) {
        let key = "containerd.io/distribution.source.\(reference.domain)"
        var known = (labels[key] ?? "").split(separator: ",").map(String.init)
        // The value is bounded as containerd bounds labels: 4096 bytes with the key.
        guard !known.contains(reference.repository), key.utf8.count + (labels[key] ?? "").utf8.count < 3072 else {
            return
        }
        known.append(reference.repository)
        labels[key] = known.sorted().joined(separator: ",")
    }
}
