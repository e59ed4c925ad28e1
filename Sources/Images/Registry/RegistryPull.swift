internal import Core
internal import OCISpec

/// One pull under way: its documents are in the content store, the blobs are fetched when they are asked for.
public struct RegistryPull: Sendable {
    public let image: PulledImage
    private let blobs: [Descriptor]
    private let client: RegistryClient
    private let route: RegistryRoute
    private let content: ContentStore
    private let progress: @Sendable (PullProgress) -> Void

    init(
        image: PulledImage, blobs: [Descriptor], client: RegistryClient, route: RegistryRoute, content: ContentStore,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) throws {
        self.image = image
        self.blobs = try Self.distinct(blobs)
        self.client = client
        self.route = route
        self.content = content
        self.progress = progress
        for blob in self.blobs { progress(PullProgress(descriptor: blob, received: 0, state: .waiting)) }
    }

    /// Fetches the image's config, which tells what its layers unpack to.
    public func fetchConfig() async throws {
        try await fetch(image.config, BlobArrivals())
    }

    /// Fetches all blobs that are not in the content store, several at a time, in the order of the layers.
    ///
    /// - Parameter arrivals: told of each blob, for whoever reads them while they come.
    public func fetchBlobs(_ arrivals: BlobArrivals = BlobArrivals()) async throws {
        do {
            try await fetchAll(arrivals)
        } catch {
            arrivals.failed(error)
            throw error
        }
    }

    /// A pull that the disk has no room for is not begun.
    private func requireRoom() throws {
        let begun = try content.ingests().reduce(into: [String: Int64]()) { $0[$1.reference] = $1.offset }
        let missing = blobs.filter { !content.contains($0.digest) }.reduce(Int64(0)) { sum, blob in
            let rest = blob.size - min(blob.size, begun[BlobFetch.ingestReference(of: blob)] ?? 0)
            let (total, overflows) = sum.addingReportingOverflow(rest)
            return overflows ? .max : total
        }
        guard missing > 0 else { return }
        try DiskGuard(content.root, try .directory(content.root)).require(missing)
    }

    private func fetchAll(_ arrivals: BlobArrivals) async throws {
        do { try requireRoom() } catch { throw BerthError.wrapping(error, "image \"\(image.reference)\"") }
        var queue = blobs[...]
        try await withThrowingTaskGroup(of: Void.self) { group in
            func next() {
                guard let blob = queue.popFirst() else { return }
                group.addTask {
                    do {
                        try await fetch(blob, arrivals)
                    } catch {
                        // Before the others end, which are cancelled for it.
                        arrivals.failed(error)
                        throw error
                    }
                }
            }
            for _ in 0..<max(client.configuration.concurrentBlobs, 1) { next() }
            while try await group.next() != nil { next() }
        }
    }

    private func fetch(_ blob: Descriptor, _ arrivals: BlobArrivals) async throws {
        try await client.fetching.withLock(blob.digest) {
            try await BlobFetch(
                blob: blob, client: client, route: route, content: content, arrivals: arrivals, progress: progress
            ).run()
        }
        arrivals.ended(blob.digest)
    }

    /// An image may name one blob several times (an empty layer), but not with several sizes.
    private static func distinct(_ blobs: [Descriptor]) throws -> [Descriptor] {
        var sizes: [Digest: Int64] = [:]
        return try blobs.filter { blob in
            guard let known = sizes.updateValue(blob.size, forKey: blob.digest) else { return true }
            guard known == blob.size else {
                throw BerthError(
                    .invalidArgument, "the manifest names blob \(blob.digest) with \(known) and with \(blob.size) bytes"
                )
            }
            return false
        }
    }
}
