internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// A file of an archive that is in the content store.
struct ArchivedFile {
    let digest: Digest
    let size: Int64
}

/// The files of an archive that is being imported.
protocol ArchiveFiles {
    /// A document at the archive's top; `nil` where it is missing.
    func document(_ name: String) throws -> [UInt8]?
    /// A file, put into the content store unless it is there; `nil` where it is missing.
    func stored(_ path: String) throws -> ArchivedFile?
}

enum ArchivePath {
    static let documents: Set<String> = ["oci-layout", "index.json", "manifest.json"]

    static func blob(_ digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }

    /// Without `./` and doubled slashes.
    static func normal(_ path: String) -> String {
        path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// The digest that a path of a layout promises.
    static func digest(promisedBy path: String) -> Digest? {
        let parts = path.split(separator: "/")
        guard parts.count == 3, parts[0] == "blobs" else { return nil }
        return try? Digest("\(parts[1]):\(parts[2])")
    }

    static func tooLarge(_ name: String) -> BerthError {
        BerthError(.resourceExhausted, "\(name) of the archive is larger than \(ImageDocument.sizeLimit) bytes")
    }

    /// Puts a file whose content `read` delivers into the content store, verified if its path promises a digest.
    static func store(
        _ path: String, in content: ContentStore, size: Int64,
        read: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws -> ArchivedFile {
        let expected = digest(promisedBy: path)
        if let expected, let known = try? content.info(expected) {
            guard known.size == size else {
                throw BerthError(
                    .invalidArgument,
                    "\(path) of the archive has \(size) bytes, and the content of that digest \(known.size)")
            }
            return ArchivedFile(digest: expected, size: known.size)
        }
        let writer = try content.ingest("import-\(Identifier.random())", algorithm: expected?.algorithm ?? .sha256)
        do {
            try read { try writer.write($0) }
            return ArchivedFile(digest: try writer.commit(expecting: expected), size: writer.offset)
        } catch {
            writer.abort()
            let wrong = (error as? BerthError)?.code == .failedPrecondition
            throw wrong
                ? BerthError(.invalidArgument, "\(path) of the archive is not what its name says", cause: error)
                : BerthError.wrapping(error, "\(path) of the archive")
        }
    }
}

/// An archive as a directory: nothing is read that nobody asks for, and no link leads out of it.
struct ArchiveDirectory: ArchiveFiles {
    private let root: RootedDirectory
    private let content: ContentStore

    init(_ root: RootedDirectory, content: ContentStore) {
        self.root = root
        self.content = content
    }

    func document(_ name: String) throws -> [UInt8]? {
        do {
            return try root.read(FilePath(name), limit: ImageDocument.sizeLimit)
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch Errno.fileTooLarge {
            throw ArchivePath.tooLarge(name)
        } catch {
            throw BerthError(.invalidArgument, "read \(name) of the archive", cause: error)
        }
    }

    func stored(_ path: String) throws -> ArchivedFile? {
        let path = ArchivePath.normal(path)
        let file: OwnedDescriptor
        let status: FileStatus
        do {
            file = try root.open(FilePath(path), [.readOnly, .nonBlocking, .noControllingTerminal])
            status = try Syscall.fstat(file.fd)
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch {
            throw BerthError(.invalidArgument, "open \(TarReader.shown(path.utf8)) of the archive", cause: error)
        }
        guard status.kind == .regular else {
            throw BerthError(.invalidArgument, "\(TarReader.shown(path.utf8)) of the archive is no regular file")
        }
        return try ArchivePath.store(path, in: content, size: status.size) { sink in
            let chunks = SingleThreadChunks(FileSource(file))
            while let chunk = try chunks.nextChunk() { try sink(chunk) }
        }
    }
}

/// An archive as a tar stream, read to its end at once: documents into memory, everything else into the content store.
struct ArchiveStream: ArchiveFiles {
    private var documents: [String: [UInt8]] = [:]
    private var files: [String: ArchivedFile] = [:]
    /// docker-archive names a layer that two images share by a link.
    private var links: [String: String] = [:]

    /// - Throws: `BerthError` (`invalidArgument`) that names the member that is wrong.
    init(_ source: any ByteSource, content: ContentStore) throws {
        var limits = TarLimits()
        // An image has some hundred layers at most.
        limits.entries = 100_000
        limits.path = 1024
        let reader = TarReader(SingleThreadChunks(try detectingCompression(source).source), limits: limits)
        while let entry = try reader.next() { try take(entry, reader, content) }
    }

    func document(_ name: String) throws -> [UInt8]? { documents[name] }

    func stored(_ path: String) throws -> ArchivedFile? {
        var path = ArchivePath.normal(path)
        for _ in 0..<8 {
            if let found = files[path] { return found }
            guard let target = links[path] else { return nil }
            path = target
        }
        return nil
    }

    private mutating func take(_ entry: TarEntry, _ reader: TarReader, _ content: ContentStore) throws {
        guard !entry.path.split(separator: UInt8(ascii: "/")).contains(Array("..".utf8)[...]) else {
            throw BerthError(.invalidArgument, "member \(TarReader.shown(entry.path)) leads out of the archive")
        }
        guard entry.extents == nil else {
            throw BerthError(
                .invalidArgument,
                "member \(TarReader.shown(entry.path)) is stored as a sparse file, which images are not")
        }
        let path = ArchivePath.normal(String(decoding: entry.path, as: UTF8.self))
        switch entry.kind {
        case .regular where ArchivePath.documents.contains(path):
            guard entry.size <= Int64(ImageDocument.sizeLimit) else { throw ArchivePath.tooLarge(path) }
            documents[path] = try reader.readContent(limit: ImageDocument.sizeLimit, what: path)
        case .regular:
            files[path] = try ArchivePath.store(path, in: content, size: entry.size) { try reader.readContent($0) }
        case .hardLink: links[path] = ArchivePath.normal(String(decoding: entry.linkTarget, as: UTF8.self))
        case .symlink: links[path] = Self.target(String(decoding: entry.linkTarget, as: UTF8.self), of: path)
        case .characterDevice, .blockDevice, .directory, .fifo: return
        }
    }

    /// Where a symbolic link leads, with the archive's top as root.
    private static func target(_ target: String, of path: String) -> String {
        var parts = target.hasPrefix("/") ? [] : path.split(separator: "/").dropLast()
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { parts = parts.dropLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}
