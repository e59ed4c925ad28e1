public import Core
public import Images
internal import Store

/// Blobs as the clients of a namespace see them.
public struct ContentService: Sendable {
    public struct Info: Sendable, Hashable {
        public var digest: Digest
        /// Bytes.
        public var size: Int64
        public var labels: [String: String]
        /// Nanoseconds since 1970.
        public var createdAt: Int64
        public var updatedAt: Int64

        init(_ record: ContentRecord) {
            digest = record.digest
            size = record.size
            labels = record.labels
            createdAt = record.createdAt
            updatedAt = record.updatedAt
        }
    }

    /// A write that has begun.
    public struct Ingest: Sendable, Hashable {
        public var reference: String
        public var offset: Int64
        public var total: Int64
        /// Nanoseconds since 1970.
        public var startedAt: Int64
        public var updatedAt: Int64
    }

    let storage: ImageStorage

    /// - Throws: `BerthError` (`notFound`), also for a blob that only another namespace has.
    public func info(_ digest: Digest, namespace: String) async throws -> Info {
        let record = try await storage.database.read { try $0.content(digest, namespace: namespace) }
        guard let record else { throw BerthError.notFound("content", "\(digest)") }
        return Info(record)
    }

    public func list(namespace: String) async throws -> [Info] {
        try await storage.database.read { try $0.contents(namespace: namespace).map(Info.init) }
    }

    /// Changes labels; one with an empty value is removed.
    ///
    /// - Parameter replacingAll: also removes the labels that are not in `labels`.
    public func update(
        _ digest: Digest, labels: [String: String], replacingAll: Bool, namespace: String
    ) async throws -> Info {
        try await storage.database.write { transaction in
            guard var record = try transaction.content(digest, namespace: namespace) else {
                throw BerthError.notFound("content", "\(digest)")
            }
            record.labels = (replacingAll ? [:] : record.labels).merging(labels) { $1 }.filter { !$0.value.isEmpty }
            record.updatedAt = WallClock.now()
            try transaction.put(record)
            return Info(record)
        }
    }

    /// Removes the blob from the namespace; its bytes go with the last namespace that has it.
    public func delete(_ digest: Digest, namespace: String) async throws {
        let existed = try await storage.database.write(.keeping) { try $0.deleteContent(digest, namespace: namespace) }
        guard existed else { throw BerthError.notFound("content", "\(digest)") }
        storage.events.publish(StorageEvent(namespace: namespace, .contentDelete(digest: digest)))
        await storage.collector.condemn(digest)
    }

    /// A blob for a client, which reads it in pieces and cannot tell a damaged one.
    ///
    /// - Throws: `BerthError`: `notFound`; `dataLoss` for a damaged blob, which is put aside.
    public func open(_ digest: Digest, namespace: String) async throws -> BlobReader {
        _ = try await info(digest, namespace: namespace)
        return try await storage.blobs.openVerified(digest)
    }

    /// Starts a write or continues one that was interrupted.
    ///
    /// - Parameter expected: if the namespace has this blob already the write is refused; if only another namespace has
    ///   it, this one gets it too, which is `alreadyExists` for the client all the same: nothing is left to write.
    /// - Throws: `BerthError`: `alreadyExists`; `unavailable` while another client writes the same reference.
    public func write(
        _ reference: String, total: Int64, expected: Digest?, scope: StorageScope
    ) async throws -> ContentWrite {
        if let expected { try await refuse(ifPresent: expected, labels: nil, scope: scope) }
        if scope.lease != nil {
            try await storage.database.write(durability: .processDeath) {
                try $0.hold(reference, type: LeaseResource.ingests, in: scope)
            }
        }
        let writer = try storage.blobs.ingest(
            Self.storageReference(reference, namespace: scope.namespace), total: nil,
            algorithm: expected?.algorithm ?? .sha256)
        return ContentWrite(storage: storage, scope: scope, reference: reference, writer: writer)
    }

    /// - Throws: `BerthError` (`alreadyExists`) if the namespace has the blob or could be given it.
    public func refuse(ifPresent digest: Digest, labels: [String: String]?, scope: StorageScope) async throws {
        let isPresent = try await storage.gate.withOperation {
            let size = try? storage.blobs.info(digest).size
            return try await storage.database.write { transaction in
                if try transaction.content(digest, namespace: scope.namespace) == nil {
                    guard let size, try transaction.isContentKnown(digest) else { return false }
                    let now = WallClock.now()
                    try transaction.put(
                        ContentRecord(
                            namespace: scope.namespace, digest: digest, size: size, labels: labels ?? [:],
                            createdAt: now,
                            updatedAt: now))
                }
                try transaction.hold(digest.description, type: LeaseResource.content, in: scope)
                return true
            }
        }
        if isPresent { throw BerthError(.alreadyExists, "content \(digest) already exists") }
    }

    public func status(_ reference: String, namespace: String) async throws -> Ingest {
        guard let ingest = try ingests(namespace: namespace).first(where: { $0.reference == reference }) else {
            throw BerthError.notFound("ingest", reference)
        }
        return ingest
    }

    /// Writes that have begun and are not committed, by reference.
    public func ingests(namespace: String) throws -> [Ingest] {
        let prefix = Self.storageReference("", namespace: namespace)
        return try storage.blobs.ingests().compactMap { status in
            status.reference.dropping(prefix: prefix).map {
                Ingest(
                    reference: $0, offset: status.offset, total: status.total ?? 0, startedAt: status.started,
                    updatedAt: status.updated)
            }
        }.sorted { $0.reference < $1.reference }
    }

    /// Throws away what was written, also of a write that has not ended yet: that one cannot be committed then.
    public func abort(_ reference: String, namespace: String) async throws {
        do {
            try storage.blobs.abortIngest(
                Self.storageReference(reference, namespace: namespace), evenIfOpen: true)
        } catch let error as BerthError where error.code == .notFound {
            throw BerthError.notFound("ingest", reference)
        }
    }

    private static let clientPrefix = "client/"

    /// References of clients are apart per namespace and apart from those of the daemon's own pulls.
    static func storageReference(_ reference: String, namespace: String) -> String {
        "\(clientPrefix)\(namespace)/\(reference)"
    }

    static func isClientReference(_ reference: String) -> Bool {
        reference.hasPrefix(clientPrefix)
    }
}

/// One client's write of a blob, held by it until ``commit(total:expected:labels:)`` or ``close()``.
public final class ContentWrite: Sendable {
    private let storage: ImageStorage
    private let scope: StorageScope
    public let reference: String
    private let writer: IngestWriter

    init(storage: ImageStorage, scope: StorageScope, reference: String, writer: IngestWriter) {
        self.storage = storage
        self.scope = scope
        self.reference = reference
        self.writer = writer
    }

    public var offset: Int64 { writer.offset }
    /// Of what is written so far.
    public var digest: Digest {
        get throws { try writer.digest }
    }
    public var startedAt: Int64 { writer.status.started }
    public var updatedAt: Int64 { writer.status.updated }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        try writer.write(bytes)
    }

    public func truncate() throws {
        try writer.truncate()
    }

    /// Verifies the blob, names it and makes it visible in the namespace.
    ///
    /// - Parameter total: bytes that it must have; 0 if that is not known.
    public func commit(total: Int64, expected: Digest?, labels: [String: String]) async throws -> Digest {
        try await storage.gate.withOperation {
            // Bytes that are not what was announced stay: the client may write more, begin again, or abort.
            let digest = try writer.commit(expecting: expected, size: total > 0 ? total : nil)
            let size = try storage.blobs.info(digest).size
            let scope = scope
            let reference = reference
            let isNew = try await storage.database.write { transaction in
                let isNew = try transaction.content(digest, namespace: scope.namespace) == nil
                if isNew {
                    let now = WallClock.now()
                    try transaction.put(
                        ContentRecord(
                            namespace: scope.namespace, digest: digest, size: size,
                            labels: labels.filter { !$0.value.isEmpty }, createdAt: now, updatedAt: now))
                }
                try transaction.hold(digest.description, type: LeaseResource.content, in: scope)
                if let lease = scope.lease {
                    try transaction.delete(
                        LeaseResourceRecord(
                            namespace: scope.namespace, lease: lease, type: LeaseResource.ingests, id: reference))
                }
                return isNew
            }
            guard isNew else { throw BerthError(.alreadyExists, "content \(digest) already exists") }
            return digest
        }
    }

    /// Lets go of the reference and keeps what was written, for the client to continue. Does nothing after a commit.
    public func close() {
        writer.suspend()
    }

    /// Throws away what was written.
    public func abort() {
        writer.abort()
    }
}
