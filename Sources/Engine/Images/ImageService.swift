internal import Core
public import Images
public import Logging
public import OCISpec
public import Store
public import SystemPackage

public typealias ImageDescriptor = OCISpec.Descriptor
public typealias ImageMediaType = OCISpec.MediaType

/// Images: from a registry or an archive into the content store, unpacked into snapshots, and away again.
///
/// One for each daemon; everything is per namespace. What an operation creates is held by a lease until an image refers
/// to it, so that neither the garbage collector nor a crash sees a half-made image: after `kill -9` the next
/// ``recover()`` finds either the whole image or leftovers, which it removes.
public final class ImageService: Sendable {
    /// The namespace that CRI works in.
    public static let criNamespace = "k8s.io"

    let storage: ImageStorage
    let registry: RegistryClient
    let policy: ImagePolicy
    /// For pulls that come without credentials.
    let logins: RegistryLogins?
    /// What is chosen from an index that has several.
    public let platform: Platform
    /// One pull per image and namespace at a time.
    let pulls = SharedPulls()
    let resolver: ImageResolver
    let remembered: RememberedNames
    let unpacking = KeyedLock<String>()
    /// By namespace.
    let removals = KeyedLock<String>()
    /// Layers of all images being unpacked.
    let unpackPermits = Permits(ImageUnpacker.layersAtOnce)
    let use = ImageUse()

    public let content: ContentService
    public let snapshots: SnapshotService
    public let leases: LeaseService
    public let namespaces: NamespaceService
    public let diff: DiffService
    public var events: EventBus { storage.events }

    /// - Parameters:
    ///   - root: the directory of `content/` and `snapshots/`; must exist.
    ///   - snapshotter: of what is unpacked from now on; containers stay on the one that they were made with.
    ///   - logins: what pulls without credentials show; nothing where it is `nil`.
    public init(
        root: FilePath, database: Database, registry: RegistryClient, platform: Platform = .host,
        snapshotter: SnapshotterKind = .overlayfs, policy: ImagePolicy = ImagePolicy(), logins: RegistryLogins? = nil,
        logger: Logger = Logger(label: "images")
    ) throws {
        storage = try ImageStorage(root: root, database: database, snapshotter: snapshotter, logger: logger)
        self.registry = registry
        self.platform = platform
        self.policy = policy
        self.logins = logins
        resolver = ImageResolver(blobs: storage.blobs, platform: platform)
        remembered = RememberedNames(database: database)
        content = ContentService(storage: storage)
        snapshots = SnapshotService(storage: storage)
        leases = LeaseService(storage: storage)
        namespaces = NamespaceService(database: database, events: storage.events)
        diff = DiffService(storage: storage)
    }

    /// Finishes and removes what a killed daemon left. To be called once, before anything else.
    public func recover() async throws {
        let report = try await storage.collector.sweepLeftovers()
        guard report != GarbageCollector.Report() else { return }
        storage.logger.notice(
            "removed what earlier runs left",
            metadata: ["blobs": "\(report.blobs)", "snapshots": "\(report.snapshots)", "leases": "\(report.leases)"])
    }

    /// After the repair of a damaged database: finds for each image that still has a name its blobs on the disk again. To be
    /// called before ``recover()``, which removes blobs without a row.
    ///
    /// - Returns: names of images that are not whole on the disk; they are gone and have to be pulled again.
    public func findAgain() async throws -> [String] {
        var lost: [String] = []
        for image in try await storage.database.read({ try $0.images(namespace: nil) }) {
            do {
                let target = NamedImage(image).target
                try await leases.withLease(namespace: image.namespace, for: "repair of \(image.name)") { scope in
                    try await storage.gate.withOperation { try await adopt(target, scope: scope) }
                    let resolved = try resolver.resolve(target)
                    guard let chain = try resolved.chainID, try await storage.snapshotter(scope).unpacked(chain) else {
                        return
                    }
                    // Only for the label that keeps the layers: they are there.
                    _ = try await unpack(resolved, scope: scope)
                }
            } catch {
                storage.logger.error(
                    "an image is not whole", metadata: ["image": "\(image.name)", "error": "\(error)"])
                try await storage.database.write {
                    _ = try $0.deleteImage(image.name, namespace: image.namespace)
                }
                lost.append(image.name)
            }
        }
        return lost
    }

    /// Ends what runs by itself and closes the connections to registries. To be called before the database is closed.
    ///
    /// A collection that has begun is waited for: it would leave tombstones that only the next start removes.
    public func shutdown() async {
        storage.collector.stop()
        await storage.collector.settle()
        await registry.shutdown()
    }

    /// Removes content and snapshots that nothing refers to, now. Happens by itself after removals.
    public func collectGarbage() async throws {
        try await storage.collector.collect()
    }
}
