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
        let parsed = try ImageReference(reference).withDefaultTag
        try NamespaceService.validate(namespace)
        // Whoever shows other credentials must not get what those of another one paid for.
        let key = "\(namespace) \(parsed) \(credentials.hashValue)"
        return try await pulls.run(key) { [self] in
            try await pullAlone(
                parsed, namespace: namespace, credentials: credentials, labels: labels, progress: progress)
        }
    }

    private func pullAlone(
        _ reference: ImageReference, namespace: String, credentials: RegistryCredentials, labels: [String: String],
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws -> ImageStatus {
        try await leases.withLease(namespace: namespace, for: "pull \(reference)") { scope in
            let target = try await storage.gate.withOperation {
                let pull = try await registry.begin(
                    reference, platform: platform, credentials: credentials, into: storage.blobs, progress: progress)
                try await transfer(pull, scope: scope)
                try Failpoint.reach("pull.fetched")
                try await adopt(pull.image.target, scope: scope)
                try Failpoint.reach("pull.adopted")
                return pull.image.target
            }
            let image = try resolver.resolve(target)
            _ = try await unpack(image, scope: scope)
            try Failpoint.reach("pull.unpacked")
            var names = [reference.pinned(to: target.digest).description]
            if reference.digest == nil { names.append(reference.description) }
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
    func adopt(_ target: Descriptor, scope: StorageScope) async throws {
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
                record.updatedAt = now
                try transaction.put(record)
                try transaction.hold(blob.digest.description, type: LeaseResource.content, in: scope)
            }
        }
    }
}
