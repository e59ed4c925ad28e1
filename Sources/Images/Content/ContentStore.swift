public import Core
private import Glibc
internal import LinuxKernel
public import OCISpec
private import Synchronization
public import SystemPackage

/// Immutable blobs named by their digest, as files.
///
///     ROOT/blobs/sha256/HEX      whole, verified and durable before it gets this name
///     ROOT/quarantine/ALG-HEX    was damaged; kept for whoever wants to know how, never read again
///     ROOT/ingest/HEX/{ref,data} being written; left by an interrupted writer, continued by the next one of the same reference
///
/// Labels, leases and namespaces are not here: they are rows.
public final class ContentStore: Sendable {
    public let root: FilePath
    /// Blobs that were compared with their digest since this process began, as the files that they were then.
    private let verified = Mutex<[Digest: Identity]>([:])
    private static let verifiedLimit = 4096

    private struct Identity: Equatable {
        let inode: UInt64
        let size: Int64
        let modified: Int64

        init(_ status: EntryStatus) {
            inode = status.inode
            size = status.size
            modified = status.modified
        }
    }

    /// References that a writer of this process holds.
    private let openReferences = Mutex<Set<String>>([])

    public struct Info: Hashable, Sendable {
        public let digest: Digest
        public let size: Int64
        /// Nanoseconds since 1970.
        public let created: Int64
    }

    /// Opens the store in `root` and makes its directories.
    public init(root: FilePath) throws {
        self.root = root
        for directory in [root, root.appending("blobs"), root.appending("ingest")] {
            try Self.makeDirectory(directory)
        }
        for algorithm in Digest.Algorithm.allCases {
            try Self.makeDirectory(root.appending("blobs").appending(algorithm.rawValue))
        }
    }

    /// Opens a store that is there, and makes nothing.
    ///
    /// - Throws: `BerthError` (`notFound`)
    public init(existing root: FilePath) throws {
        guard Files.exists(root.appending("blobs")) else { throw BerthError.notFound("content store", root.string) }
        self.root = root
    }

    public func path(of digest: Digest) -> FilePath {
        directory(of: digest.algorithm).appending(digest.hex)
    }

    public func contains(_ digest: Digest) -> Bool {
        (try? info(digest)) != nil
    }

    /// - Throws: `BerthError` (`notFound`)
    public func info(_ digest: Digest) throws -> Info {
        do {
            let status = try EntryCalls.status(path(of: digest))
            return Info(digest: digest, size: status.size, created: status.modified)
        } catch {
            throw missing(digest, error)
        }
    }

    /// All blobs, in no order.
    public func list() throws -> [Info] {
        var blobs: [Info] = []
        for algorithm in Digest.Algorithm.allCases {
            let directory = try OwnedDescriptor.directory(directory(of: algorithm))
            for name in try EntryCalls.names(in: directory.fd) {
                let hex = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
                guard let digest = try? Digest(algorithm: algorithm, hex: hex) else { continue }
                guard let status = try? EntryCalls.status(directory.fd, name) else { continue }
                blobs.append(Info(digest: digest, size: status.size, created: status.modified))
            }
        }
        return blobs
    }

    /// - Throws: `BerthError` (`notFound`)
    public func open(_ digest: Digest) throws -> BlobReader {
        do {
            let descriptor = try FileDescriptor.open(path(of: digest), .readOnly, options: .closeOnExec)
            return try BlobReader(digest: digest, descriptor: OwnedDescriptor(descriptor))
        } catch let error as Errno {
            throw missing(digest, error)
        }
    }

    /// The whole content, verified.
    ///
    /// - Throws: `BerthError`: `notFound`; `resourceExhausted` if it is larger than `limit`; `dataLoss` if it is damaged.
    public func read(_ digest: Digest, limit: Int) throws -> [UInt8] {
        let reader = try open(digest)
        guard reader.size <= Int64(limit) else {
            throw BerthError(
                .resourceExhausted, "blob \(digest) has \(reader.size) bytes, more than the limit of \(limit)")
        }
        let bytes = try reader.read(at: 0, count: limit)
        guard try Digest.of(bytes, algorithm: digest.algorithm) == digest else {
            throw try quarantine(digest, reader, reason: "its content has another digest")
        }
        return bytes
    }

    /// As `read(_:limit:)`, and the size must be the descriptor's.
    public func read(_ descriptor: Descriptor, limit: Int) throws -> [UInt8] {
        let bytes = try read(descriptor.digest, limit: limit)
        guard Int64(bytes.count) == descriptor.size else {
            throw BerthError(
                .invalidArgument,
                "blob \(descriptor.digest) has \(bytes.count) bytes, its descriptor says \(descriptor.size)")
        }
        return bytes
    }

    /// - Throws: `BerthError` (`notFound`)
    public func delete(_ digest: Digest) throws {
        do {
            let directory = try OwnedDescriptor.directory(directory(of: digest.algorithm))
            defer { directory.close() }
            try EntryCalls.unlink(directory.fd, digest.hex)
        } catch {
            throw missing(digest, error)
        }
    }

    /// Reads a blob wholly and compares its digest. One that is damaged is put aside: it is not there any more afterwards, and
    /// the next pull fetches it again.
    ///
    /// - Throws: `BerthError`: `notFound`, or `dataLoss` if it is damaged.
    public func verify(_ digest: Digest) async throws {
        let reader = try open(digest)
        try await BlockingWork.run { try self.verify(reader) }
    }

    /// As `open`, of a blob that was verified once since this process began.
    ///
    /// - Throws: as ``verify(_:)``.
    public func openVerified(_ digest: Digest) async throws -> BlobReader {
        let reader = try open(digest)
        let identity = Identity(try EntryCalls.status(reader.descriptor.fd))
        if verified.withLock({ $0[digest] }) == identity { return reader }
        try await BlockingWork.run { try self.verify(reader) }
        verified.withLock { verified in
            if verified.count >= Self.verifiedLimit { verified.removeAll() }
            verified[digest] = identity
        }
        return reader
    }

    func verify(_ reader: BlobReader) throws {
        let actual = try reader.computeDigest()
        guard actual != reader.digest else { return }
        throw try quarantine(reader.digest, reader, reason: "its content has digest \(actual)")
    }

    /// For what fails in a way that a damaged blob would explain.
    ///
    /// - Returns: `dataLoss` if it is one, else `error`.
    func explain(_ error: any Error, reading digest: Digest) -> any Error {
        if error is CancellationError { return error }
        guard let reader = try? open(digest) else { return error }
        do {
            try verify(reader)
            return error
        } catch let damage as BerthError where damage.code == .dataLoss {
            return damage
        } catch {
            return error
        }
    }

    /// Takes a damaged blob out of the store.
    ///
    /// - Returns: what to tell whoever wanted to read it.
    private func quarantine(_ digest: Digest, _ reader: BlobReader, reason: String) throws -> BerthError {
        let directory = root.appending("quarantine")
        do {
            try Self.makeDirectory(directory)
            // It may have been replaced by a good one since it was opened.
            if try EntryCalls.status(path(of: digest)).inode == EntryCalls.status(reader.descriptor.fd).inode {
                try EntryCalls.rename(
                    path(of: digest), to: directory.appending("\(digest.algorithm.rawValue)-\(digest.hex)"))
                let blobs = try OwnedDescriptor.directory(self.directory(of: digest.algorithm))
                defer { blobs.close() }
                try EntryCalls.synchronize(blobs.fd)
            }
        } catch Errno.noSuchFileOrDirectory {
            // Somebody else found it out too.
        } catch {
            throw Self.describe(error, "put damaged content \(digest) aside")
        }
        return BerthError(
            .dataLoss, "blob \(digest) is damaged and was put aside: \(reason)", advice: "pull the image again")
    }

    static func describe(_ error: any Error, _ what: String) -> any Error {
        guard let error = error as? Errno else { return error }
        let isFull = error == .noSpace || error == Errno(rawValue: EDQUOT)
        return BerthError(isFull ? .resourceExhausted : .internal, what, cause: error)
    }

    /// Starts or continues writing a blob.
    ///
    /// - Parameter reference: names the write; an interrupted one of the same reference is continued where it stopped.
    /// - Throws: `BerthError` (`unavailable`) if another writer of this process holds the reference.
    public func ingest(
        _ reference: String, total: Int64? = nil, algorithm: Digest.Algorithm = .sha256
    ) throws -> IngestWriter {
        guard !reference.isEmpty, reference.utf8.count <= 4096 else {
            throw BerthError.invalid(
                field: "ingest reference", value: reference.prefix(80), rule: "must have 1 to 4096 bytes")
        }
        guard openReferences.withLock({ $0.insert(reference).inserted }) else {
            throw BerthError(.unavailable, "content reference \"\(reference)\" is being written by another writer")
        }
        do {
            return try IngestWriter(store: self, reference: reference, total: total, algorithm: algorithm)
        } catch {
            release(reference)
            throw Self.describe(error, "begin content \"\(reference.prefix(80))\"")
        }
    }

    /// Writes that have begun and neither committed nor been aborted, also of earlier processes.
    public func ingests() throws -> [IngestWriter.Status] {
        let directory = try OwnedDescriptor.directory(ingestDirectory)
        return try EntryCalls.names(in: directory.fd).compactMap { name in
            let path = ingestDirectory.appending(
                String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
            return IngestWriter.status(at: path)
        }
    }

    /// Throws away what an interrupted writer left.
    ///
    /// - Parameter evenIfOpen: also where a writer of this process holds the reference, whose commit fails then.
    /// - Throws: `BerthError`: `notFound`; `unavailable` if a writer of this process holds the reference.
    public func abortIngest(_ reference: String, evenIfOpen: Bool = false) throws {
        guard evenIfOpen || !openReferences.withLock({ $0.contains(reference) }) else {
            throw BerthError(.unavailable, "content reference \"\(reference)\" is being written")
        }
        let directory = try ingestDirectory(of: reference)
        guard (try? EntryCalls.status(directory)) != nil else { throw BerthError.notFound("ingest", reference) }
        Self.removeIngest(directory)
    }

    /// Writes a small blob.
    @discardableResult
    public func write(_ bytes: [UInt8], expecting digest: Digest? = nil) throws -> Digest {
        let digest = try digest ?? Digest.of(bytes)
        if contains(digest) { return digest }
        let writer = try ingest("write-\(Identifier.random())", total: Int64(bytes.count), algorithm: digest.algorithm)
        do {
            try writer.write(bytes)
            return try writer.commit(expecting: digest, size: Int64(bytes.count))
        } catch {
            writer.abort()
            throw error
        }
    }

    // MARK: Layout

    var ingestDirectory: FilePath { root.appending("ingest") }

    func directory(of algorithm: Digest.Algorithm) -> FilePath {
        root.appending("blobs").appending(algorithm.rawValue)
    }

    func ingestDirectory(of reference: String) throws -> FilePath {
        ingestDirectory.appending(try Digest.of(Array(reference.utf8)).hex)
    }

    func release(_ reference: String) {
        openReferences.withLock { _ = $0.remove(reference) }
    }

    static func removeIngest(_ directory: FilePath) {
        for name in ["data", "ref"] { try? EntryCalls.unlink(directory.appending(name)) }
        try? EntryCalls.removeDirectory(directory)
    }

    private static func makeDirectory(_ path: FilePath) throws {
        do {
            try EntryCalls.makeDirectory(path, mode: 0o700)
            let parent = try OwnedDescriptor.directory(path.removingLastComponent())
            defer { parent.close() }
            try EntryCalls.synchronize(parent.fd)
        } catch Errno.fileExists {
            return
        } catch {
            throw describe(error, "make content directory \(path)")
        }
    }

    private func missing(_ digest: Digest, _ error: any Error) -> any Error {
        if let error = error as? Errno {
            return error == .noSuchFileOrDirectory
                ? BerthError.notFound("content", digest.description)
                : BerthError(.internal, "content \(digest)", cause: error)
        }
        return error
    }
}
