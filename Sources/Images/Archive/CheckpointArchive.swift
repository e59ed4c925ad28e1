internal import Core
internal import LinuxKernel
public import SystemPackage

/// The archive of a container's checkpoint, as kubelets, containerd, CRI-O and podman write and read it.
///
///     config.dump       which image the container is of
///     spec.dump         its configuration of the OCI runtime
///     checkpoint/NAME   CRIU's images
///     rootfs-diff.tar   what it had changed in its root filesystem, as a layer
///     deleted.files     paths that it had removed (CRI-O, podman; layers have whiteouts)
///
/// Anybody may have written it. Only what is named above is taken, as regular files with the names above and no others.
public enum CheckpointArchive {
    public static let config = "config.dump"
    public static let specification = "spec.dump"
    public static let images = "checkpoint"
    public static let rootFSDifference = "rootfs-diff.tar"
    public static let deletedFiles = "deleted.files"

    /// Of a document.
    public static let documentLimit = 4 << 20
    /// A process has some images each, and each of them has pages.
    static let entryLimit = 200_000

    private static let documents: Set<String> = [config, specification, deletedFiles]
    /// Of criu's own names: pages-1.img, core-12.img, descriptors.json.
    private static let plainCharacters = Set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_".utf8)

    /// Unpacks into the empty directory `directory`. Blocks.
    ///
    /// - Parameter file: the archive, plain or compressed, read to its end.
    /// - Throws: `BerthError`: `invalidArgument` for what is no checkpoint, or a hostile one; `resourceExhausted` beyond a
    ///   limit or without room on the disk.
    public static func unpack(_ file: FileDescriptor, into directory: FilePath) throws {
        try unpack(PipeSource(file), into: directory)
    }

    /// As ``unpack(_:into:)``, of a layer.
    public static func unpack(_ blob: BlobReader, into directory: FilePath) throws {
        try unpack(FileSource(blob.descriptor), into: directory)
    }

    private static func unpack(_ source: any ByteSource, into directory: FilePath) throws {
        var limits = TarLimits()
        limits.entries = entryLimit
        limits.path = 1024
        let reader = TarReader(SingleThreadChunks(try detectingCompression(source).source), limits: limits)
        do {
            try unpack(reader, into: directory, .directory(directory))
        } catch let error as Errno {
            let isFull = error == .noSpace || error == .diskQuotaExceeded
            throw BerthError(
                isFull ? .resourceExhausted : .internal, "unpack the checkpoint into \(directory)", cause: error)
        }
    }

    private static func unpack(_ reader: TarReader, into directory: FilePath, _ target: OwnedDescriptor) throws {
        defer { target.close() }
        try Syscall.mkdirat(FilePath(images), mode: 0o700, in: target.fd)
        let disk = DiskGuard(directory, target)
        while let entry = try reader.next() {
            guard let name = try member(entry) else { continue }
            try write(entry, reader, as: name, in: target.fd, disk)
        }
    }

    /// - Returns: the path to write to; `nil` for what is not needed.
    private static func member(_ entry: TarEntry) throws -> FilePath? {
        let shown = TarReader.shown(entry.path)
        let path = ArchivePath.normal(String(decoding: entry.path, as: UTF8.self))
        let names = path.split(separator: "/").map(String.init)
        guard !names.contains("..") else {
            throw BerthError(.invalidArgument, "member \(shown) leads out of the checkpoint")
        }
        guard let first = names.first else { return nil }
        let isImage = first == images && names.count == 2
        let isDocument = names.count == 1 && documents.contains(first)
        let isDifference = names.count == 1 && first == rootFSDifference
        guard isImage || isDocument || isDifference else {
            guard first == images else { return nil }
            if names.count == 1, entry.kind == .directory { return nil }
            throw BerthError(.invalidArgument, "member \(shown) is no image of criu")
        }
        guard entry.kind == .regular, entry.extents == nil else {
            throw BerthError(.invalidArgument, "member \(shown) of the checkpoint is no regular file")
        }
        guard names[names.count - 1].utf8.allSatisfy({ plainCharacters.contains($0) }) else {
            throw BerthError(.invalidArgument, "member \(shown) is no image of criu")
        }
        if isDocument, entry.size > Int64(documentLimit) {
            throw BerthError(
                .resourceExhausted, "\(first) of the checkpoint is larger than \(documentLimit) bytes")
        }
        return FilePath(path)
    }

    private static func write(
        _ entry: TarEntry, _ reader: TarReader, as name: FilePath, in directory: FileDescriptor, _ disk: DiskGuard
    ) throws {
        try disk.require(entry.size)
        let file = try make(name, in: directory)
        defer { file.close() }
        let output = file.fd
        try reader.readContent { _ = try output.writeAll($0) }
    }

    private static func make(_ name: FilePath, in directory: FileDescriptor) throws -> OwnedDescriptor {
        do {
            return try Syscall.open(name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600, in: directory)
        } catch {
            guard error == .fileExists else { throw error }
            throw BerthError(.invalidArgument, "member \(name) is in the checkpoint twice")
        }
    }
}
