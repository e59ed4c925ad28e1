public import Core
internal import LinuxKernel
public import OCISpec
internal import SystemPackage

extension Digest {
    /// The chain ID of each layer (image-spec, config.md, "Layer ChainID"): the first is the diffID, each further one
    /// the digest of "CHAINID DIFFID".
    public static func chainIDs(_ diffIDs: [Digest]) throws -> [Digest] {
        var chain: [Digest] = []
        for diffID in diffIDs {
            guard let below = chain.last else {
                chain.append(diffID)
                continue
            }
            chain.append(try Digest.of(Array("\(below) \(diffID)".utf8)))
        }
        return chain
    }
}

/// Makes the layers of an image committed snapshots named by their chain IDs.
///
/// Layers are unpacked in parallel, each by itself; what depends on the layers below is settled afterwards in order. Nothing
/// becomes visible before all of it is whole and durable, and a failure leaves nothing.
public final class ImageUnpacker: Sendable {
    private let content: ContentStore
    private let snapshotter: any Snapshotter
    private let unpacker: LayerUnpacker
    private let parallelism: Int
    private let permits: Permits
    private let chains = KeyedLock<Digest>()

    /// - Parameters:
    ///   - parallelism: layers of one image being unpacked at the same time; each takes about 5 MiB of memory.
    ///   - permits: bound the layers of all images together.
    public init(
        content: ContentStore, snapshotter: any Snapshotter, unpacker: LayerUnpacker = LayerUnpacker(),
        parallelism: Int = 3, permits: Permits = Permits(ImageUnpacker.layersAtOnce)
    ) {
        self.content = content
        self.snapshotter = snapshotter
        self.unpacker = unpacker
        self.parallelism = max(1, parallelism)
        self.permits = permits
    }

    /// Layers of all images together. One that waits for its download counts too, so it is more than there are cores.
    public static let layersAtOnce = 12

    /// Unpacks what is not there yet. Two calls for the same chain do it once.
    ///
    /// - Parameters:
    ///   - labels: of each new snapshot.
    ///   - arrivals: of layers that are still being downloaded into the content store: each is unpacked as its bytes come, and
    ///     nothing is committed before all of them are whole and verified. Without it they have to be there.
    /// - Returns: the chain ID of the topmost layer; `nil` for an image without layers.
    @discardableResult
    public func unpack(
        layers: [Descriptor], diffIDs: [Digest], labels: [String: String] = [:],
        arrivals: BlobArrivals? = nil
    ) async throws -> Digest? {
        guard layers.count == diffIDs.count else {
            throw BerthError(
                .invalidArgument, "image has \(layers.count) layers, but its config names \(diffIDs.count) of them")
        }
        for layer in layers where !layer.mediaType.isLayer {
            throw BerthError.invalid(
                field: "layer \(layer.digest)", value: layer.mediaType, rule: "is not a type of filesystem layer")
        }
        let chain = try Digest.chainIDs(diffIDs)
        guard let top = chain.last else { return nil }
        let plan = layers.indices.map { Layer(descriptor: layers[$0], diffID: diffIDs[$0], chainID: chain[$0]) }
        try await chains.withLock(top) {
            let present = try await self.presentLayers(chain)
            let missing = Array(plan[present...])
            guard !missing.isEmpty else { return }
            let below = present > 0 ? chain[present - 1] : nil
            switch self.snapshotter.layerForm {
            case .changes: try await self.unpack(missing, over: below, labels, arrivals)
            case .whole: try await self.unpackInPlace(missing, over: below, labels, arrivals)
            }
        }
        return top
    }

    private struct Layer: Sendable {
        let descriptor: Descriptor
        let diffID: Digest
        let chainID: Digest
    }

    private struct Staged: Sendable {
        let index: Int
        let job: UnpackJob
        let begun: BegunLayer
    }

    /// How many layers from the bottom are there already.
    private func presentLayers(_ chain: [Digest]) async throws -> Int {
        for index in chain.indices.reversed() {
            if try await snapshotter.unpacked(chain[index]) { return index + 1 }
        }
        return 0
    }

    private func unpack(
        _ layers: [Layer], over parent: Digest?, _ labels: [String: String], _ arrivals: BlobArrivals?
    ) async throws {
        var stagings: [LayerStaging] = []
        do {
            for _ in layers { stagings.append(try await snapshotter.beginLayer()) }
            let directories = stagings
            let staged = try await Writeback.goingOn(in: directories[0].directory) {
                try await begin(layers, in: directories, arrivals)
            }
            if let arrivals {
                for layer in layers { try await arrivals.whole(layer.descriptor.digest) }
            }
            try Failpoint.reach("unpack.written")
            var lower: [FilePath] = []
            if let parent { lower = try await snapshotter.layerDirectories(parent.description) }
            var commits: [StagedLayer] = []
            var below = parent
            for item in staged {
                let layer = layers[item.index]
                let unpacked = try await complete(item, layer, lower)
                var commit = StagedLayer(
                    stagings[item.index], name: layer.chainID.description, parent: below?.description,
                    labels: labels)
                commit.isSealed = unpacked.isImage
                commits.append(commit)
                if unpacked.isImage, item.index + 1 < layers.count {
                    // The next one may have to look something up in it.
                    try await snapshotter.showLayer(stagings[item.index])
                }
                lower.insert(stagings[item.index].tree, at: 0)
                below = layer.chainID
            }
            try await snapshotter.commitLayers(commits)
        } catch {
            for staging in stagings { await snapshotter.abandonLayer(staging) }
            throw error
        }
    }

    /// Layers that hold all that is below them: one after the other, each into a copy of the last.
    private func unpackInPlace(
        _ layers: [Layer], over parent: Digest?, _ labels: [String: String], _ arrivals: BlobArrivals?
    ) async throws {
        var commits: [StagedLayer] = []
        do {
            var below = parent
            var tree: FilePath?
            if let parent { tree = try await snapshotter.layerDirectories(parent.description).first }
            for layer in layers {
                try await arrivals?.whole(layer.descriptor.digest)
                let staging = try await snapshotter.beginLayer(over: tree)
                commits.append(
                    StagedLayer(
                        staging, name: layer.chainID.description, parent: below?.description, labels: labels))
                do {
                    _ = try await unpacker.unpackInPlace(
                        .blob(open(layer.descriptor)), mediaType: layer.descriptor.mediaType, into: staging.tree,
                        expecting: layer.diffID)
                } catch {
                    throw self.naming(layer, error)
                }
                tree = staging.tree
                below = layer.chainID
            }
            try await snapshotter.commitLayers(commits)
        } catch {
            for commit in commits { await snapshotter.abandonLayer(commit.staging) }
            throw error
        }
    }

    /// Writes all layers, several at a time, and returns them in their order.
    private func begin(
        _ layers: [Layer], in stagings: [LayerStaging], _ arrivals: BlobArrivals?
    ) async throws -> [Staged] {
        try await withThrowingTaskGroup(of: Staged.self) { group in
            var results: [Staged] = []
            for index in layers.indices {
                if index >= parallelism, let done = try await group.next() { results.append(done) }
                let (layer, staging) = (layers[index], stagings[index])
                group.addTask { try await self.begin(layer, index, in: staging, arrivals) }
            }
            for try await done in group { results.append(done) }
            return results.sorted { $0.index < $1.index }
        }
    }

    private func begin(
        _ layer: Layer, _ index: Int, in staging: LayerStaging, _ arrivals: BlobArrivals?
    ) async throws -> Staged {
        guard let arrivals, let incoming = try await arrivals.incoming(layer.descriptor.digest) else {
            return try await begin(layer, index, in: staging) { .blob(try open(layer.descriptor)) }
        }
        do {
            return try await begin(layer, index, in: staging) { .incoming(incoming) }
        } catch {
            // What the bytes were is known when they are verified: the transfer's own failure tells more.
            try await arrivals.whole(layer.descriptor.digest)
            guard (error as? BerthError)?.code == .aborted else { throw error }
            // The transfer was started again, from another host perhaps, and what had been read of it is void.
            try await unpacker.clear(staging.tree)
            return try await begin(layer, index, in: staging) { .blob(try open(layer.descriptor)) }
        }
    }

    private func begin(
        _ layer: Layer, _ index: Int, in staging: LayerStaging, _ source: () throws -> LayerSource
    ) async throws -> Staged {
        do {
            let job = try UnpackJob.make(
                source: source(), mediaType: layer.descriptor.mediaType, tree: staging.tree, diffID: layer.diffID,
                limits: unpacker.limits, decompressedLimit: unpacker.decompressedLimit)
            let image = snapshotter.archiveImage(in: staging)
            return try await permits.withPermit {
                Staged(index: index, job: job, begun: try await unpacker.begin(job, image: image))
            }
        } catch {
            throw self.naming(layer, error)
        }
    }

    private func complete(_ staged: Staged, _ layer: Layer, _ lower: [FilePath]) async throws -> UnpackedLayer {
        do {
            return try await unpacker.complete(staged.job, staged.begun, lower: lower) {
                try open(layer.descriptor)
            }
        } catch {
            throw self.naming(layer, error)
        }
    }

    private func open(_ descriptor: Descriptor) throws -> BlobReader {
        let reader = try content.open(descriptor.digest)
        guard reader.size == descriptor.size else {
            try content.verify(reader)
            throw BerthError(
                .invalidArgument, "blob has \(reader.size) bytes, its descriptor says \(descriptor.size)")
        }
        return reader
    }

    private func naming(_ layer: Layer, _ error: any Error) -> any Error {
        if error is CancellationError { return error }
        // A full disk or a limit needs no other explanation; for the rest it is worth a reading of the blob.
        let isExplained = (error as? BerthError)?.code == .resourceExhausted
        let cause = isExplained ? error : content.explain(error, reading: layer.descriptor.digest)
        return BerthError.wrapping(cause, "unpack layer \(layer.descriptor.digest)")
    }
}
