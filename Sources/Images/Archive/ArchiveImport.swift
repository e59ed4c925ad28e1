internal import Core
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// An image that an archive brought: all its blobs are in the content store.
public struct ImportedImage: Sendable {
    /// Full names; empty where the archive gives none.
    public let names: [String]
    public let target: Descriptor
}

/// Imports images from an OCI image layout (image-spec, image-layout.md) or a docker-archive (`docker save`), in a directory or a
/// tar archive, plain or compressed.
///
/// A tar archive is read once, as a stream; of a directory only what its images refer to is read. Blobs are verified against
/// their names as they are stored; what an image refers to and the archive lacks is an error.
public struct ArchiveImport: Sendable {
    let content: ContentStore
    /// Name for images whose archive gives only a tag: `docker.io/library/box` makes `docker.io/library/box:TAG`.
    public var baseName: String?

    public init(content: ContentStore, baseName: String? = nil) {
        self.content = content
        self.baseName = baseName
    }

    /// Imports a directory or a tar file. Blocks: call it on a thread of its own.
    ///
    /// - Throws: `BerthError`: `notFound` for a missing file; `invalidArgument` that says what is wrong with the archive.
    public func read(from path: FilePath) throws -> [ImportedImage] {
        do {
            if try Syscall.stat(path, follow: true).kind == .directory {
                return try images(of: ArchiveDirectory(RootedDirectory(path), content: content))
            }
            let file = try Syscall.open(path, .readOnly)
            return try images(of: ArchiveStream(FileSource(file), content: content))
        } catch let error as Errno {
            throw BerthError(
                error == .noSuchFileOrDirectory ? .notFound : .internal, "read archive \(path)", cause: error)
        }
    }

    /// Imports a tar stream: a pipe, a socket or standard input. Blocks until its end.
    public func read(from descriptor: FileDescriptor) throws -> [ImportedImage] {
        do {
            return try images(of: ArchiveStream(PipeSource(descriptor), content: content))
        } catch let error as Errno {
            throw BerthError(.internal, "read archive", cause: error)
        }
    }

    private func images(of files: some ArchiveFiles) throws -> [ImportedImage] {
        // An archive of a newer docker has both; the layout says more.
        if let index = try files.document("index.json") {
            var layout = ImageLayout(content: content, files: files, baseName: baseName)
            return try layout.images(index)
        }
        if let manifest = try files.document("manifest.json") {
            var archive = DockerArchive(content: content, files: files)
            return try archive.images(manifest)
        }
        throw BerthError(
            .invalidArgument,
            "the archive has neither an index.json (OCI image layout) nor a manifest.json (docker-archive)")
    }
}
