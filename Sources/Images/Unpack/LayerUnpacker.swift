public import Core
private import Glibc
internal import LinuxKernel
public import OCISpec
private import Synchronization
public import SystemPackage

/// What came out of a layer.
public struct UnpackedLayer: Sendable {
    /// Digest of the uncompressed layer.
    public let diffID: Digest
    /// Size of the uncompressed layer in bytes.
    public let tarSize: Int64
    public let usage: SnapshotUsage
}

/// Where a layer's bytes come from.
public enum LayerSource: Sendable {
    case blob(BlobReader)
    /// Still being downloaded: unpacking follows the writer. Nothing may be committed before the writer has.
    case incoming(IncomingBlob)

    func open() -> any ByteSource {
        switch self {
        case .blob(let reader): FileSource(reader.descriptor)
        case .incoming(let blob): IncomingSource(blob)
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
    func begin(_ job: UnpackJob) async throws -> BegunLayer {
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
        let reason: BerthError
        switch begun {
        case .needsParents(let problem): reason = problem
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
        guard !lower.isEmpty else { throw reason }
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
        let source = source
        let compression = compression
        let chunks = try ThreadedChunks { try compression.decompress(source.open()) }
        defer { chunks.cancel() }
        let hashing = HashingChunks(
            LimitedChunks(chunks, limit: decompressedLimit, disk: DiskGuard(target, try .directory(target))),
            algorithm: diffID?.algorithm ?? .sha256)
        let reader = TarReader(hashing, limits: limits)
        let writer = try TreeWriter(tree: target, form: form)
        while let entry = try reader.next() {
            guard !cancelled.load(ordering: .relaxed) else { throw CancellationError() }
            try writer.write(entry, from: reader)
        }
        try writer.finish()
        let digest = try hashing.hasher.digest()
        if let diffID, diffID != digest {
            throw BerthError(.dataLoss, "layer has diffID \(digest), but the image's config names \(diffID)")
        }
        let size = hashing.hasher.count
        measured.withLock { $0 = (digest, size) }
        return writer
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
        return UnpackedLayer(
            diffID: measured.diffID, tarSize: measured.size, usage: try TreeUsage.measure(tree))
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
