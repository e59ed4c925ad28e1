internal import Core
internal import LinuxKernel
internal import SystemPackage

/// A layer's EROFS image that is made while its archive is read: the archive itself is the data, and the inodes, which say where in
/// it each file is, come behind it.
///
///     0            superblock
///     archiveStart the archive as it came, decompressed
///     ...          inodes, directories
///
/// Nothing is unpacked, and no file is made but the image. It takes Linux 6.4, since the files of an archive begin at multiples of
/// 512 bytes.
///
/// It is used by one thread after the other, never by two at a time.
final class ArchiveImage: @unchecked Sendable {
    static let archiveStart: Int64 = 4096

    let path: FilePath
    private let file: OwnedDescriptor
    private var tree: ArchiveTree

    /// - Parameter path: of the image; must not exist.
    init(_ path: FilePath, limits: ArchiveTree = ArchiveTree()) throws {
        self.path = path
        file = try Syscall.open(path, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
        tree = limits
    }

    /// The archive's bytes, which are kept on their way.
    func keeping(_ source: any ChunkSource) -> any ChunkSource { KeptChunks(source, file) }

    /// - Throws: `LayerNeedsTree`
    func add(_ entry: TarEntry, at position: Int64) throws { try tree.add(entry, at: position) }

    /// - Throws: `LayerNeedsParents`
    func settle(over lower: LowerLayers) throws { try tree.settle(over: lower) }

    /// Writes what comes behind the archive. Once.
    ///
    /// - Throws: `LayerNeedsTree`
    func finish() throws {
        // Behind the last file there may be anything.
        let block = Int64(ErofsFormat.blockSize)
        let end = (Self.archiveStart + tree.contentEnd + block - 1) / block * block
        let plan = ErofsPlan(try tree.takeNodes(), behindFiles: end)
        guard plan.blocks <= Int64(UInt32.max) else {
            throw BerthError(
                .resourceExhausted, "\(path) is larger than the 2 TiB that an EROFS image of this kind can hold")
        }
        try FileRanges.setSize(file.fd, Self.archiveStart + tree.contentEnd)
        try FileRanges.setSize(file.fd, (plan.blocks * Int64(plan.blockSize) + block - 1) / block * block)
        var metadata = ErofsMetadata(plan, to: file.fd)
        for index in plan.nodes.indices {
            switch plan.nodes[index].type {
            case .directory: try metadata.writeDirectory(index)
            case .regular: try metadata.write(index)
            default: try metadata.write(index, content: plan.nodes[index].linkTarget)
            }
        }
        try metadata.finish()
        // fs-verity wants no writer.
        file.close()
    }

    func remove() { try? Syscall.unlinkat(path) }

    /// Whether the kernel takes images of this kind from files in `directory`.
    static func isSupported(in directory: FilePath) -> Bool {
        let path = directory.appending("probe-\(Identifier.random().prefix(16))")
        do {
            let image = try ArchiveImage(path)
            defer { image.remove() }
            try image.finish()
            try LayerImages.prepare(path).close()
            return true
        } catch {
            return false
        }
    }
}

/// Writes each chunk into the image before it is used.
private final class KeptChunks: ChunkSource {
    private let source: any ChunkSource
    private let file: OwnedDescriptor
    private var offset = ArchiveImage.archiveStart

    init(_ source: any ChunkSource, _ file: OwnedDescriptor) {
        self.source = source
        self.file = file
    }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        guard let chunk = try source.nextChunk() else { return nil }
        try FileRanges.write(file.fd, chunk, at: offset)
        offset += Int64(chunk.count)
        return chunk
    }
}
