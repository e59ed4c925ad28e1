internal import Core
internal import Images
internal import OCISpec
private import class Foundation.Thread
public import SystemPackage

extension ImageService {
    /// Imports every image of an archive: an OCI image layout or what `docker save` writes, as a directory or a tar
    /// archive, plain or compressed.
    ///
    /// - Parameters:
    ///   - baseName: name for images that the archive gives only a tag, or none.
    ///   - unpack: whether the layers are unpacked at once, instead of with the first container.
    /// - Throws: `BerthError` (`invalidArgument`) that says what is wrong with the archive, also if it has an image
    ///   without a name and there is no `baseName`. Nothing of it is kept then.
    public func importArchive(
        at path: FilePath, namespace: String = criNamespace, baseName: String? = nil, unpack: Bool = true
    ) async throws -> [ImageStatus] {
        try await importArchive(namespace: namespace, baseName: baseName, unpack: unpack, what: "\(path)") {
            try $0.read(from: path)
        }
    }

    /// As ``importArchive(at:namespace:baseName:unpack:)``, of a tar stream that is read to its end: a file, a pipe or a socket.
    public func importArchive(
        from stream: FileDescriptor, namespace: String = criNamespace, baseName: String? = nil, unpack: Bool = true
    ) async throws -> [ImageStatus] {
        try await importArchive(namespace: namespace, baseName: baseName, unpack: unpack, what: "stream") {
            try $0.read(from: stream)
        }
    }

    private func importArchive(
        namespace: String, baseName: String?, unpack: Bool, what: String,
        read: @escaping @Sendable (ArchiveImport) throws -> [ImportedImage]
    ) async throws -> [ImageStatus] {
        try NamespaceService.validate(namespace)
        let archive = ArchiveImport(content: storage.blobs, baseName: baseName)
        return try await leases.withLease(namespace: namespace, for: "import of \(what)") { scope in
            let images = try await storage.gate.withOperation {
                let images: [ImportedImage]
                do {
                    images = try await onThread { try read(archive) }
                } catch {
                    // Runs once this operation has left the gate.
                    Task { try await storage.collector.condemnUnknown(olderThan: 0) }
                    throw error
                }
                for image in images where image.names.isEmpty {
                    throw BerthError(
                        .invalidArgument, "image \(image.target.digest) of archive \(what) has no name",
                        advice: "give a base name")
                }
                for image in images { try await adopt(image.target, scope: scope) }
                return images
            }
            var ids: Set<Digest> = []
            for image in images {
                let resolved = try resolver.resolve(image.target)
                if unpack { _ = try await self.unpack(resolved, scope: scope) }
                ids.insert(resolved.config.digest)
            }
            for image in images {
                for name in image.names {
                    let labels = policy.isPinned(name) ? [PinnedLabel.name: PinnedLabel.value] : [:]
                    try await assign(name, to: image.target, labels: labels, in: scope)
                }
            }
            return try await list(namespace: namespace).filter { ids.contains($0.id) }
        }
    }

    /// Writes images as an OCI image layout in a tar archive, which `docker load` reads too.
    ///
    /// - Parameter references: what ``status(of:namespace:)`` takes; each keeps the name that was found.
    public func export(
        _ references: [String], namespace: String = criNamespace, to file: FileDescriptor
    ) async throws {
        var items: [ArchiveExport.Item] = []
        for reference in references {
            guard let found = try await find(reference, namespace: namespace).first else {
                throw BerthError.notFound("image", reference)
            }
            items.append(ArchiveExport.Item(name: found.name.name, target: found.name.target))
        }
        // The gate keeps the blobs while they are read one after the other.
        let (blobs, exported) = (storage.blobs, items)
        try await storage.gate.withOperation {
            try await onThread { try ArchiveExport(content: blobs).write(exported) { _ = try file.writeAll($0) } }
        }
    }
}

/// Runs `body`, which may block for long, on a thread of its own instead of one of the few that tasks share.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}
