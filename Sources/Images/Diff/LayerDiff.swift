public import Core
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// A layer that was made.
public struct CreatedLayer: Sendable {
    public let descriptor: Descriptor
    public let diffID: Digest
    /// Bytes without compression.
    public let tarSize: Int64
}

/// Makes a layer out of what a snapshot changed: its own tree in overlayfs form, so that no comparison with the layers below is needed.
///
/// The bytes depend on the tree alone: entries are sorted, and names, owners, modes, times and attributes are those of the tree.
public struct LayerDiff: Sendable {
    private let content: ContentStore

    public init(content: ContentStore) {
        self.content = content
    }

    /// - Parameter tree: an overlay's upper directory, or the tree of a snapshot without parent. It should not be written to meanwhile.
    /// - Throws: `BerthError`: `invalidArgument` for a name that means a deletion in layers; `unimplemented` for a directory that
    ///   overlayfs has renamed without copying; `aborted` if a file changed while it was read.
    public func create(from tree: FilePath, mediaType: MediaType = .layerGzip) async throws -> CreatedLayer {
        try await create(mediaType) { sink in
            do {
                let walk = TreeWalk(sink)
                try walk.run(.directory(tree))
            } catch let error as Errno {
                throw BerthError(.internal, "open \(tree)", cause: error)
            }
        }
    }

    /// What has to be done to `left` so that it becomes `right`, whatever the two are: both are compared, file by file.
    ///
    /// A file is taken as the same if its size, time and metadata are, and, where the time has no fraction of a second (as
    /// archives bring it), its content.
    ///
    /// - Parameters:
    ///   - left: the trees that are put over each other, the topmost first; likewise `right`. They are only read.
    /// - Throws: as ``create(from:mediaType:)``.
    public func create(
        from left: [FilePath], to right: [FilePath], mediaType: MediaType = .layerGzip
    ) async throws -> CreatedLayer {
        try await create(mediaType) { sink in
            let walk = TreeWalk(sink)
            try walk.run(Self.open(right), comparedWith: Self.open(left))
        }
    }

    private static func open(_ trees: [FilePath]) throws -> OwnedDescriptor {
        guard let first = trees.first else { throw BerthError(.invalidArgument, "a mount of nothing has no files") }
        do {
            return try trees.count == 1 ? .directory(first) : OverlayMount(lower: trees.map(\.string)).open()
        } catch {
            throw BerthError(.internal, "open \(trees.count) layers at \(first)", cause: error)
        }
    }

    private func create(
        _ mediaType: MediaType,
        _ walk: @escaping @Sendable (@escaping (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) async throws -> CreatedLayer {
        guard let compression = mediaType.layerCompression else {
            throw BerthError.invalid(field: "layer media type", value: mediaType, rule: "is not a filesystem layer")
        }
        let content = content
        return try await BlockingWork.run {
            let writer = try content.ingest("diff-\(Identifier.random())")
            do {
                let hashing = HashingSink(try compression.compress(to: IngestSink(writer)))
                try walk { try hashing.write($0) }
                try hashing.finish()
                let size = writer.offset
                let digest = try writer.commit(expecting: nil)
                return CreatedLayer(
                    descriptor: Descriptor(mediaType: mediaType, digest: digest, size: size),
                    diffID: try hashing.hasher.digest(), tarSize: hashing.hasher.count)
            } catch {
                writer.abort()
                throw error
            }
        }
    }
}
