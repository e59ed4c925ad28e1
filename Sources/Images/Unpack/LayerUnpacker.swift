public import Core
private import Glibc
public import LinuxKernel
public import OCISpec
private import Synchronization
public import SystemPackage

/// What came out of a layer.
public struct UnpackedLayer: Sendable {
    /// Digest of the uncompressed layer.
    public let diffID: Digest
    /// Size of the uncompressed layer in bytes.
    public let tarSize: Int64
    /// It is an EROFS image already, not a tree.
    var isImage = false
}

/// Where a layer's bytes come from.
public enum LayerSource: Sendable {
    case blob(BlobReader)
    /// Still being downloaded: unpacking follows the writer. Nothing may be committed before the writer has.
    case incoming(IncomingBlob)
    /// A file that is in no content store, from its beginning.
    case file(OwnedDescriptor)

    func open() -> any ByteSource {
        switch self {
        case .blob(let reader): FileSource(reader.descriptor)
        case .incoming(let blob): IncomingSource(blob)
        case .file(let file): FileSource(file)
        }
    }
}

/// Turns a layer blob into a directory tree in overlayfs form.
///
/// Decompression runs on one thread, hashing and writing on another; memory is bounded whatever the layer's size. Every
/// archive is treated as hostile (see `TreeWriter`, `TarReader`).
public struct LayerUnpacker: Sendable {
    public var limits = TarLimits()
    /// Bytes of a layer when decompressed.
    public var decompressedLimit: Int64 = 1 << 40

    public init() {}

    /// Unpacks into the directory `tree`, which is empty or, for an overlay's upper directory, has what was written before.
    ///
    /// - Parameter lower: the trees of the layers below, the topmost first. A layer that refers to them (a hard link to a file
    ///   below, a path through a symbolic link below) is unpacked as containerd does, over a mount of them.
    /// - Throws: `BerthError`: `invalidArgument` for a malformed or hostile archive; `dataLoss` if the digest is not
    ///   `diffID`; `resourceExhausted` beyond a limit or on a full disk. What is in `tree` then is to be thrown away.
    public func unpack(
        _ blob: BlobReader, mediaType: MediaType, into tree: FilePath, lower: [FilePath] = [],
        expecting diffID: Digest? = nil
    ) async throws -> UnpackedLayer {
        try await unpack(.blob(blob), mediaType: mediaType, into: tree, lower: lower, expecting: diffID)
    }

    public func unpack(
        _ source: LayerSource, mediaType: MediaType, into tree: FilePath, lower: [FilePath] = [],
        expecting diffID: Digest? = nil
    ) async throws -> UnpackedLayer {
        let job = try UnpackJob.make(
            source: source, mediaType: mediaType, tree: tree, diffID: diffID, limits: limits,
            decompressedLimit: decompressedLimit)
        let hadContent = try await job.run { try job.isTreeFilled() }
        if !hadContent {
            do {
                return try await job.run {
                    let writer = try job.write(tree, form: .overlayUpper)
                    try writer.settle(over: LowerLayers(lower))
                    return try job.result()
                }
            } catch let problem as LayerNeedsParents {
                guard !lower.isEmpty else { throw problem.reason }
                try await job.run { try job.emptyTree() }
            }
        }
        return try await job.run { try job.writeMerged(lower) }
    }

    /// Removes what an earlier try left in `tree`.
    func clear(_ tree: FilePath) async throws {
        try await BlockingWork.run { try UnpackJob.empty(tree) }
    }

    /// Unpacks into `tree`, which holds all that the layers below have made; what the layer deletes is removed.
    ///
    /// - Throws: as `unpack`.
    public func unpackInPlace(
        _ source: LayerSource, mediaType: MediaType, into tree: FilePath, expecting diffID: Digest? = nil
    ) async throws -> UnpackedLayer {
        let job = try UnpackJob.make(
            source: source, mediaType: mediaType, tree: tree, diffID: diffID, limits: limits,
            decompressedLimit: decompressedLimit)
        return try await job.run { try job.writeInPlace() }
    }

    /// The first half of `unpack` for a layer whose parents are not there yet.
    ///
    /// - Parameter image: where the layer may become an EROFS image without being unpacked.
    func begin(_ job: UnpackJob, image: FilePath? = nil) async throws -> BegunLayer {
        if let image {
            do {
                return try await job.run { .image(try job.writeImage(image)) }
            } catch is LayerNeedsTree {}
        }
        do {
            return try await job.run { BegunLayer.written(try job.write(job.tree, form: .overlayUpper)) }
        } catch let problem as LayerNeedsParents {
            return .needsParents(problem.reason)
        }
    }

    /// The second half.
    func complete(_ job: UnpackJob, _ begun: BegunLayer, lower: [FilePath], blob: () throws -> BlobReader) async throws
        -> UnpackedLayer
    {
        var reason: BerthError?
        switch begun {
        case .needsParents(let problem): reason = problem
        case .image(let image):
            do {
                return try await job.run { try job.complete(image, lower) }
            } catch let problem as LayerNeedsParents {
                reason = problem.reason
            } catch is LayerNeedsTree {}
        case .written:
            do {
                return try await job.run {
                    try begun.settle(over: LowerLayers(lower))
                    return try job.result()
                }
            } catch let problem as LayerNeedsParents {
                reason = problem.reason
            }
        }
        if lower.isEmpty, let reason { throw reason }
        let again = try job.again(with: .blob(blob()))
        return try await again.run {
            try again.emptyTree()
            return try again.writeMerged(lower)
        }
    }
}

enum BegunLayer: @unchecked Sendable {
    /// The writer is used by one thread after the other, never by two at a time.
    case written(TreeWriter)
    case needsParents(BerthError)
    case image(ArchiveImage)

    func settle(over lower: LowerLayers) throws {
        if case .written(let writer) = self { try writer.settle(over: lower) }
    }
}

/// One layer on its way into one tree.
final class UnpackJob: Sendable {
    let tree: FilePath
    private let source: LayerSource
    private let compression: LayerCompression
    private let diffID: Digest?
    private let limits: TarLimits
    private let decompressedLimit: Int64
    private let cancelled = Atomic(false)
    private let measured = Mutex<(diffID: Digest, size: Int64)?>(nil)

    /// Never inlined: the optimizer of Swift 6.3.1 takes the object to pieces where it is made and used in one function, and
    /// then fails on its own result (CopyPropagation, at the end of the atomic's life).
    @inline(never)
    static func make(
        source: LayerSource, mediaType: MediaType, tree: FilePath, diffID: Digest?, limits: TarLimits,
        decompressedLimit: Int64
    ) throws -> UnpackJob {
        try UnpackJob(
            source: source, mediaType: mediaType, tree: tree, diffID: diffID, limits: limits,
            decompressedLimit: decompressedLimit)
    }

    private init(
        source: LayerSource, mediaType: MediaType, tree: FilePath, diffID: Digest?, limits: TarLimits,
        decompressedLimit: Int64
    ) throws {
        guard let compression = mediaType.layerCompression else {
            throw BerthError.invalid(field: "layer media type", value: mediaType, rule: "is not a filesystem layer")
        }
        self.source = source
        self.compression = compression
        self.tree = tree
        self.diffID = diffID
        self.limits = limits
        self.decompressedLimit = decompressedLimit
    }

    private init(_ other: UnpackJob, source: LayerSource) {
        self.source = source
        tree = other.tree
        compression = other.compression
        diffID = other.diffID
        limits = other.limits
        decompressedLimit = other.decompressedLimit
    }

    func again(with source: LayerSource) throws -> UnpackJob { UnpackJob(self, source: source) }

    /// Runs `body` on a thread of its own, which stops soon after the task is cancelled.
    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await BlockingWork.run(body)
        } onCancel: {
            cancelled.store(true, ordering: .relaxed)
        }
    }

    func write(_ target: FilePath, form: TreeWriter.Form) throws -> TreeWriter {
        let writer = try TreeWriter(tree: target, form: form)
        try read(to: target) { entry, reader in try writer.write(entry, from: reader) }
        try writer.finish()
        return writer
    }

    /// - Throws: `LayerNeedsTree`; there is no image then.
    func writeImage(_ path: FilePath) throws -> ArchiveImage {
        let image = try ArchiveImage(path)
        do {
            try read(to: path.removingLastComponent(), keeping: image) { entry, reader in
                try image.add(entry, at: reader.contentOffset)
            }
            return image
        } catch let error as Errno {
            image.remove()
            throw SnapshotDirectories.describe(error, "write EROFS image \(path)")
        } catch {
            image.remove()
            throw error
        }
    }

    func complete(_ image: ArchiveImage, _ lower: [FilePath]) throws -> UnpackedLayer {
        do {
            try image.settle(over: LowerLayers(lower))
            try image.finish()
            var layer = try result()
            layer.isImage = true
            return layer
        } catch let error as Errno {
            image.remove()
            throw SnapshotDirectories.describe(error, "write EROFS image \(image.path)")
        } catch {
            image.remove()
            throw error
        }
    }

    /// Hands out each entry of the layer, which is decompressed on a thread of its own; checks its digest at the end.
    private func read(
        to target: FilePath, keeping image: ArchiveImage? = nil, _ body: (TarEntry, TarReader) throws -> Void
    ) throws {
        let source = source
        let compression = compression
        let chunks = try ThreadedChunks { try compression.decompress(source.open()) }
        defer { chunks.cancel() }
        let limited = LimitedChunks(chunks, limit: decompressedLimit, disk: DiskGuard(target, try .directory(target)))
        let hashing = HashingChunks(image?.keeping(limited) ?? limited, algorithm: diffID?.algorithm ?? .sha256)
        let reader = TarReader(hashing, limits: limits)
        while let entry = try reader.next() {
            guard !cancelled.load(ordering: .relaxed) else { throw CancellationError() }
            try body(entry, reader)
        }
        let digest = try hashing.hasher.digest()
        if let diffID, diffID != digest {
            throw BerthError(.dataLoss, "layer has diffID \(digest), but the image's config names \(diffID)")
        }
        let size = hashing.hasher.count
        measured.withLock { $0 = (digest, size) }
    }

    func writeInPlace() throws -> UnpackedLayer {
        _ = try write(tree, form: .merged)
        return try result()
    }

    func writeMerged(_ lower: [FilePath]) throws -> UnpackedLayer {
        if lower.isEmpty {
            _ = try write(tree, form: .overlayUpper)
        } else {
            _ = try MergedTree.withMount(tree: tree, lower: lower, scratch: tree.removingLastComponent()) {
                try write($0, form: .merged)
            }
        }
        return try result()
    }

    func result() throws -> UnpackedLayer {
        guard let measured = measured.withLock({ $0 }) else { throw CancellationError() }
        return UnpackedLayer(diffID: measured.diffID, tarSize: measured.size)
    }

    func isTreeFilled() throws -> Bool {
        let directory = try OwnedDescriptor.directory(tree)
        defer { directory.close() }
        return try !EntryCalls.names(in: directory.fd).isEmpty
    }

    func emptyTree() throws { try Self.empty(tree) }

    static func empty(_ tree: FilePath) throws {
        let directory = try OwnedDescriptor.directory(tree)
        defer { directory.close() }
        for name in try EntryCalls.names(in: directory.fd) { try EntryCalls.removeTree(directory.fd, name) }
    }
}
