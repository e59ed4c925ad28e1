internal import Core
internal import OCISpec
internal import Store

extension ImageService {
    /// Gives the image that `source` means another name.
    public func tag(_ source: String, as target: String, namespace: String) async throws {
        let reference = try policy.reference(target)
        guard reference.digest == nil else {
            throw BerthError.invalid(field: "target", value: target, rule: "must not have a digest")
        }
        guard let found = try await find(source, namespace: namespace).first else {
            throw BerthError.notFound("image", source)
        }
        try await assign(
            reference.withDefaultTag.description, to: found.name.target, in: StorageScope(namespace: namespace))
    }

    /// Removes every name of the image that `reference` means, and collects what only it needed before it returns.
    ///
    /// A running container keeps its layers. An image that is not there is not an error, as CRI wants it; where another call is
    /// removing it just now, who is told that it is gone finds it gone.
    public func remove(_ reference: String, namespace: String = criNamespace) async throws {
        try await removals.withLock(namespace) { try await removeNow(reference, namespace: namespace) }
    }

    private func removeNow(_ reference: String, namespace: String) async throws {
        let found = try await find(reference, namespace: namespace)
        var names: [NamedImage]
        if let id = found.first?.image.config.digest {
            names = try await allNamed(namespace: namespace).filter {
                (try? resolver.resolve($0.target))?.config.digest == id
            }
        } else {
            // Content is missing or damaged: the name can still be removed.
            let spellings = spellings(of: reference)
            names = try await allNamed(namespace: namespace).filter { spellings.contains($0.name) }
        }
        guard !names.isEmpty else { return }
        let doomed = names.map(\.name)
        try await storage.database.write(.keeping) { transaction in
            for name in doomed { try transaction.deleteImage(name, namespace: namespace) }
        }
        try Failpoint.reach("image.remove.named")
        for name in doomed { storage.events.publish(StorageEvent(namespace: namespace, .imageDelete(name: name))) }
        for image in names { resolver.forget(image.target.digest) }
        try await collectGarbage()
    }
}
