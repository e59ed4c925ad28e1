internal import Core
public import Images
internal import LinuxKernel
internal import OCISpec
internal import Store
public import SystemPackage

/// Root filesystems of containers: one active snapshot each, over the image's layers.
///
/// The snapshot is kept by the container's record of the same ID; until that is there it is pinned in memory, so that a
/// daemon killed in between leaves a snapshot that the next start removes.
extension ImageService {
    /// The writable root filesystem of a new container, unpacking the image first where that has not happened.
    ///
    /// - Parameter image: what ``status(of:namespace:)`` takes.
    /// - Throws: `BerthError`: `notFound` without the image; `alreadyExists` if the container has one already.
    public func prepareRootFS(
        containerID: String, image: String, namespace: String = criNamespace
    ) async throws -> SnapshotMounts {
        try Identifier.validate(containerID)
        guard let found = try await find(image, namespace: namespace).first else {
            throw BerthError.notFound("image", image)
        }
        // The config of an unpacked image refers to its top layer, which keeps it: no lease is needed for what is there.
        let scope = StorageScope(namespace: namespace)
        let chain = try found.image.chainID
        if let chain, try await !storage.snapshotter(scope).unpacked(chain) {
            try await leases.withLease(namespace: namespace, for: "container \(containerID)") { leased in
                _ = try await unpack(found.image, scope: leased)
            }
        }
        storage.collector.pin(containerID)
        use.record(found.image.config.digest)
        do {
            return try rootFS(
                await storage.snapshotter(scope).prepare(containerID, parent: chain?.description))
        } catch {
            storage.collector.unpin(containerID)
            throw error
        }
    }

    /// How to mount the root filesystem of a container that has one.
    public func rootFS(containerID: String, namespace: String = criNamespace) async throws -> SnapshotMounts {
        let scope = StorageScope(namespace: namespace)
        return try rootFS(await storage.snapshotter(having: containerID, scope).mounts(containerID))
    }

    /// Removes a container's root filesystem; one that is not there is not an error.
    public func removeRootFS(containerID: String, namespace: String = criNamespace) async throws {
        defer {
            storage.collector.unpin(containerID)
            // It may have been the last to use the layers of an image that is gone.
            storage.collector.schedule()
        }
        let scope = StorageScope(namespace: namespace)
        do {
            try await storage.snapshotter(having: containerID, scope).remove(containerID)
        } catch let error as BerthError where error.code == .notFound {
            return
        }
    }

    /// A read-only view of an image for one of a container's mounts, unpacking the image first where that has not
    /// happened. It is kept as long as the container's root filesystem, and removed by ``removeImageMount(containerID:index:namespace:)``.
    ///
    /// - Parameter image: what ``status(of:namespace:)`` takes.
    /// - Throws: `BerthError` (`notFound`) without the image.
    public func prepareImageMount(
        containerID: String, index: Int, image: String, namespace: String = criNamespace
    ) async throws -> (id: String, mounts: SnapshotMounts) {
        try Identifier.validate(containerID)
        guard let found = try await find(image, namespace: namespace).first else {
            throw BerthError(.notFound, "image \"\(image)\" is not present", advice: "pull it first")
        }
        let scope = StorageScope(namespace: namespace)
        let chain = try found.image.chainID
        if let chain, try await !storage.snapshotter(scope).unpacked(chain) {
            try await leases.withLease(namespace: namespace, for: "container \(containerID)") { leased in
                _ = try await unpack(found.image, scope: leased)
            }
        }
        let mounts = try await storage.snapshotter(scope).view(
            Self.imageMountKey(containerID, index), parent: chain?.description,
            labels: [GarbageGraph.containerBackReference: containerID])
        return ("\(found.image.config.digest)", mounts)
    }

    /// One that is not there is not an error.
    public func removeImageMount(containerID: String, index: Int, namespace: String = criNamespace) async throws {
        let key = Self.imageMountKey(containerID, index)
        do {
            try await storage.snapshotter(having: key, StorageScope(namespace: namespace)).remove(key)
        } catch let error as BerthError where error.code == .notFound {
            return
        }
    }

    private static func imageMountKey(_ containerID: String, _ index: Int) -> String {
        "\(containerID)-mount-\(index)"
    }

    /// What the container wrote: the writable layer alone.
    public func rootFSUsage(containerID: String, namespace: String = criNamespace) async throws -> SnapshotUsage {
        let scope = StorageScope(namespace: namespace)
        return try await storage.snapshotter(having: containerID, scope).usage(containerID)
    }

    /// The layer directories of an image, the topmost first, for looking a file up without mounting anything.
    public func layerDirectories(of image: String, namespace: String = criNamespace) async throws -> [FilePath] {
        guard let found = try await find(image, namespace: namespace).first else {
            throw BerthError.notFound("image", image)
        }
        return try await leases.withLease(namespace: namespace, for: "layers of \(image)") { scope in
            guard let top = try await unpack(found.image, scope: scope) else { return [] }
            return try await storage.snapshotter(scope).layerDirectories(top.description)
        }
    }

    /// Over an image without layers, containers get an overlay too, with an empty directory below, unless each snapshot is
    /// a whole tree anyway.
    private func rootFS(_ mounts: SnapshotMounts) throws -> SnapshotMounts {
        guard case .bind(let source, _) = mounts else { return mounts }
        let work = source.removingLastComponent().appending("work")
        guard Files.exists(work) else { return mounts }
        return .overlay(
            OverlayMount(lower: [try storage.emptyDirectory().string], upper: source.string, work: work.string))
    }
}
