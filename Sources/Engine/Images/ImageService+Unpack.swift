public import Core
internal import Images
internal import OCISpec
internal import Store

extension ImageService {
    /// Unpacks all layers of the image that `reference` means, where that has not happened.
    ///
    /// - Returns: the chain ID of the topmost layer; `nil` for an image without layers.
    @discardableResult
    public func unpack(_ reference: String, namespace: String = criNamespace) async throws -> Digest? {
        guard let found = try await find(reference, namespace: namespace).first else {
            throw BerthError.notFound("image", reference)
        }
        return try await leases.withLease(namespace: namespace, for: "unpack \(reference)") { scope in
            try await unpack(found.image, scope: scope)
        }
    }

    /// As ``unpack(_:namespace:)``, with the layers held by the lease of `scope` until the config refers to them.
    func unpack(_ image: ResolvedImage, scope: StorageScope) async throws -> Digest? {
        guard let chain = try await unpackLayers(of: image, arrivals: nil, scope: scope) else { return nil }
        try Failpoint.reach("unpack.committed")
        // What another snapshotter unpacked, by an earlier configuration, is only kept by the containers that use it.
        let own = scope.snapshotter ?? storage.snapshotterKind
        var wanted: [String: String] = [:]
        for kind in SnapshotterKind.allCases {
            wanted[GarbageGraph.snapshotReference + kind.rawValue] = kind == own ? chain.description : ""
        }
        let labels = wanted
        let config = image.config.digest
        let isLabelled = try await storage.database.read { transaction in
            let present = try transaction.content(config, namespace: scope.namespace)?.labels ?? [:]
            return labels.allSatisfy { present[$0.key, default: ""] == $0.value }
        }
        if !isLabelled {
            _ = try await content.update(config, labels: labels, replacingAll: false, namespace: scope.namespace)
        }
        return chain
    }

    /// Makes the layers snapshots, where they are not.
    ///
    /// - Parameter arrivals: of layers that are still being fetched.
    func unpackLayers(of image: ResolvedImage, arrivals: BlobArrivals?, scope: StorageScope) async throws -> Digest? {
        guard let chain = try image.chainID else { return nil }
        // Two containers of one image that has not been unpacked yet must not do it twice.
        return try await unpacking.withLock("\(scope.namespace) \(chain)") {
            let snapshotter = try storage.snapshotter(scope)
            if try await !snapshotter.unpacked(chain) {
                let unpacker = ImageUnpacker(
                    content: storage.blobs, snapshotter: snapshotter, permits: unpackPermits)
                try await unpacker.unpack(
                    layers: image.layers, diffIDs: image.document.rootfs.diffIDs, arrivals: arrivals)
            }
            return chain
        }
    }
}
