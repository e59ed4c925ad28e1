public import Core
private import Glibc
internal import LinuxKernel
private import Synchronization
internal import SystemPackage

/// A blob being written. Nothing of it is visible under its digest before `commit`.
///
/// Call its methods from one task or thread at a time; `status` and `IncomingBlob` may be used from anywhere.
public final class IngestWriter: Sendable {
    public struct Status: Hashable, Sendable {
        public let reference: String
        public let offset: Int64
        public let total: Int64?
        /// Nanoseconds since 1970.
        public let started: Int64
        public let updated: Int64
    }

    private struct Writing: Sendable {
        var hasher: ContentHasher
        var updated: Int64
        var writtenBack: Int64 = 0
        var disk: DiskGuard
        var closed = false
    }

    public let reference: String
    private let store: ContentStore
    private let directory: FilePath
    private let total: Int64?
    private let started: Int64
    private let descriptor: OwnedDescriptor
    private let writing: Mutex<Writing>
    /// Tells readers of the growing file how far it is.
    let growth: WaitableState<BlobGrowth>

    init(store: ContentStore, reference: String, total: Int64?, algorithm: Digest.Algorithm) throws {
        self.store = store
        self.reference = reference
        self.total = total
        directory = try store.ingestDirectory(of: reference)
        do {
            try EntryCalls.makeDirectory(directory, mode: 0o700)
            try Failpoint.reach("content.ingest")
        } catch Errno.fileExists {}
        let name = directory.appending("ref")
        if (try? EntryCalls.status(name)) == nil { try Files.writeAtomically(name, Array(reference.utf8)) }
        let data = try FileDescriptor.open(
            directory.appending("data"), .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
        descriptor = OwnedDescriptor(data)

        // What an interrupted writer left is hashed again; its last pages may be missing after a power loss, which the digest
        // shows in the end.
        let hasher = try ContentHasher(algorithm, rereading: data)
        try data.seek(offset: hasher.count, from: .start)
        let status = try EntryCalls.status(data)
        // The name was written when the first writer began.
        started = (try? EntryCalls.status(name).modified) ?? status.modified
        writing = Mutex(
            Writing(hasher: hasher, updated: status.modified, disk: DiskGuard(store.root, descriptor)))
        growth = WaitableState(BlobGrowth(available: hasher.count))
    }

    deinit {
        // Not after commit or abort: another writer may have the reference by now.
        if close() { store.release(reference) }
    }

    public var offset: Int64 { writing.withLock { $0.hasher.count } }

    /// Of what is written so far.
    public var digest: Digest {
        get throws { try writing.withLock { try $0.hasher.digest() } }
    }

    public var status: Status {
        writing.withLock {
            Status(reference: reference, offset: $0.hasher.count, total: total, started: started, updated: $0.updated)
        }
    }

    public func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }

    /// Appends `bytes`.
    ///
    /// - Throws: `BerthError`: `failedPrecondition` after commit or abort; `resourceExhausted` beyond the announced total or on a full disk.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        let available = try writing.withLock { writing in
            guard !writing.closed else {
                throw BerthError(.failedPrecondition, "content writer \"\(reference)\" is closed")
            }
            if let total, writing.hasher.count + Int64(bytes.count) > total {
                throw BerthError(
                    .resourceExhausted, "content \"\(reference)\" is longer than the announced \(total) bytes")
            }
            do throws(Errno) {
                try EntryCalls.write(descriptor.fd, bytes)
            } catch {
                throw BerthError(
                    error == .noSpace ? .resourceExhausted : .internal, "write content \"\(reference)\"", cause: error)
            }
            try writing.disk.wrote(bytes.count)
            writing.hasher.update(bytes)
            writing.updated = WallClock.nanoseconds
            let behind = writing.hasher.count - writing.writtenBack
            if behind >= 8 << 20 {
                EntryCalls.startWriteback(descriptor.fd, from: writing.writtenBack, count: behind)
                writing.writtenBack = writing.hasher.count
            }
            return writing.hasher.count
        }
        growth.change { $0.available = available }
    }

    /// Drops what was written so far.
    public func truncate() throws {
        // A reader may have seen bytes that are gone soon: it must not go on. Said first, so that who reads less than there was
        // finds the reason.
        growth.change { $0.failure = BerthError(.aborted, "content \"\(reference)\" was started again") }
        try writing.withLock { writing in
            guard !writing.closed else {
                throw BerthError(.failedPrecondition, "content writer \"\(reference)\" is closed")
            }
            guard Glibc.ftruncate(descriptor.fd.rawValue, 0) == 0 else {
                throw BerthError(.internal, "truncate content \"\(reference)\"", cause: Errno(rawValue: errno))
            }
            try descriptor.fd.seek(offset: 0, from: .start)
            writing.hasher = ContentHasher(writing.hasher.algorithm)
            writing.writtenBack = 0
        }
    }

    /// Verifies, makes durable and names the blob. If the blob exists already, the written copy is thrown away.
    ///
    /// - Throws: `BerthError` (`failedPrecondition`) if digest or size differ; the writer stays open then, to be aborted.
    @discardableResult
    public func commit(expecting expected: Digest?, size: Int64? = nil) throws -> Digest {
        let digest = try writing.withLock { writing in
            guard !writing.closed else {
                throw BerthError(.failedPrecondition, "content writer \"\(reference)\" is closed")
            }
            if let size, size != writing.hasher.count {
                throw BerthError(
                    .failedPrecondition,
                    "content \"\(reference)\" has \(writing.hasher.count) bytes instead of the expected \(size)")
            }
            let digest = try writing.hasher.digest()
            if let expected, expected != digest {
                throw BerthError(
                    .failedPrecondition,
                    "content \"\(reference)\" has digest \(digest) instead of the expected \(expected)")
            }
            if !store.contains(digest) { try name(digest) }
            writing.closed = true
            return digest
        }
        growth.change { $0.isWhole = true }
        ContentStore.removeIngest(directory)
        store.release(reference)
        return digest
    }

    /// Throws the written bytes away.
    public func abort() {
        guard close() else { return }
        growth.change { $0.failure = $0.failure ?? BerthError(.aborted, "content \"\(reference)\" was given up") }
        ContentStore.removeIngest(directory)
        store.release(reference)
    }

    /// Lets go and keeps what was written, for a later writer of the same reference.
    public func suspend() {
        guard close() else { return }
        growth.change { $0.failure = $0.failure ?? BerthError(.aborted, "content \"\(reference)\" was interrupted") }
        store.release(reference)
    }

    private func close() -> Bool {
        writing.withLock { writing in
            defer { writing.closed = true }
            return !writing.closed
        }
    }

    /// Content first, then the name, then the directory that holds the name: a power loss leaves no name without content.
    private func name(_ digest: Digest) throws {
        do {
            try Failpoint.reach("content.written")
            try EntryCalls.setPermissions(descriptor.fd, 0o444)
            try EntryCalls.synchronize(descriptor.fd)
            try Failpoint.reach("content.synced")
            try EntryCalls.rename(directory.appending("data"), to: store.path(of: digest))
            try Failpoint.reach("content.named")
            let blobs = try OwnedDescriptor.directory(store.directory(of: digest.algorithm))
            defer { blobs.close() }
            try EntryCalls.synchronize(blobs.fd)
        } catch {
            throw ContentStore.describe(error, "store content \(digest)")
        }
    }

    static func status(at directory: FilePath) -> Status? {
        guard let name = try? Files.read(directory.appending("ref"), limit: 4096),
            let begun = try? EntryCalls.status(directory.appending("ref")),
            let data = try? EntryCalls.status(directory.appending("data"))
        else { return nil }
        return Status(
            reference: String(decoding: name, as: UTF8.self), offset: data.size, total: nil, started: begun.modified,
            updated: data.modified)
    }
}

/// How far a blob has been written that somebody else reads already.
struct BlobGrowth: Sendable {
    var available: Int64
    var isWhole = false
    var failure: BerthError?
}

/// A blob that is read while it is being written.
public struct IncomingBlob: Sendable {
    let descriptor: OwnedDescriptor
    let growth: WaitableState<BlobGrowth>
}

extension IngestWriter {
    /// A second handle on the growing file, for a reader that follows the writer.
    public func follow() throws -> IncomingBlob {
        let copy = try FileDescriptor.open(directory.appending("data"), .readOnly, options: .closeOnExec)
        return IncomingBlob(descriptor: OwnedDescriptor(copy), growth: growth)
    }
}
