internal import ContainerdAPI
internal import Core
internal import GRPCCore
private import Synchronization

/// Reading and writing of blobs through the content service.
extension Connection {
    /// Gives the bytes of a blob to `sink` in order, in pieces.
    func readBlob(_ digest: Digest, into sink: @Sendable @escaping ([UInt8]) throws -> Void) async throws {
        try await doing("read content \(digest)") {
            try await content.read(
                .with { $0.digest = "\(digest)" }, options: Session.current.callOptions
            ) { response in
                for try await message in response.messages { try sink(Array(message.data)) }
            }
        }
    }

    /// - Throws: `BerthError` (`resourceExhausted`) for a blob larger than `limit` bytes.
    func readBlob(_ digest: Digest, limit: Int) async throws -> [UInt8] {
        let bytes = Mutex<[UInt8]>([])
        try await readBlob(digest) { piece in
            try bytes.withLock {
                $0 += piece
                guard $0.count <= limit else {
                    throw BerthError(.resourceExhausted, "content \(digest) is larger than \(limit) bytes")
                }
            }
        }
        return bytes.withLock { $0 }
    }

    /// `nil` for a blob that is not there.
    func blobInfo(_ digest: Digest) async throws -> Containerd_Services_Content_V1_Info? {
        do {
            return try await content.info(.with { $0.digest = "\(digest)" }, options: Session.current.callOptions).info
        } catch let error as RPCError where error.code == .notFound {
            return nil
        }
    }

    func setBlobLabels(_ digest: Digest, _ labels: [String: String]) async throws {
        guard !labels.isEmpty else { return }
        try await doing("label content \(digest)") {
            _ = try await content.update(
                .with {
                    $0.info.digest = "\(digest)"
                    $0.info.labels = labels
                    $0.updateMask.paths = labels.keys.sorted().map { "labels.\($0)" }
                }, options: Session.current.callOptions)
        }
    }

    /// Writes bytes that come in order from `next`, which ends with an empty piece.
    ///
    /// What an earlier transfer of the same reference left is gone on with only by `writeBlob`, which knows that the
    /// bytes are the same.
    ///
    /// - Returns: the digest that the daemon computed.
    func ingest(
        _ reference: String, size: Int64? = nil, expected: Digest? = nil, labels: [String: String] = [:],
        next: @Sendable @escaping () throws -> [UInt8]
    ) async throws -> String {
        try await write(reference, size: size, expected: expected, labels: labels) { offset, send in
            guard offset == 0 else {
                throw BerthError(
                    .failedPrecondition, "transfer \"\(reference)\" was begun earlier and holds \(offset) bytes",
                    advice: "choose another key")
            }
            while true {
                let piece = try next()
                guard !piece.isEmpty else { return }
                try await send(piece)
            }
        }
    }

    /// Writes a blob of known digest and size unless the daemon has it; a transfer that was broken off goes on.
    ///
    /// - Parameters:
    ///   - read: gives up to a mebibyte of the blob from an offset.
    ///   - progress: is told how many bytes the daemon has been sent.
    func writeBlob(
        _ digest: Digest, size: Int64, reference: String, labels: [String: String],
        read: @Sendable @escaping (Int64) throws -> [UInt8], progress: @Sendable @escaping (Int64) -> Void
    ) async throws {
        do {
            _ = try await write(reference, size: size, expected: digest, labels: labels) { start, send in
                var offset = start
                while offset < size {
                    let piece = try read(offset)
                    guard !piece.isEmpty else {
                        throw BerthError(.dataLoss, "content \(digest) ends at \(offset) of \(size) bytes")
                    }
                    try await send(piece)
                    offset += Int64(piece.count)
                    progress(offset)
                }
            }
        } catch let error as BerthError where error.code == .alreadyExists {
            try await setBlobLabels(digest, labels)
        }
        progress(size)
    }

    private func write(
        _ reference: String, size: Int64?, expected: Digest?, labels: [String: String],
        _ body: @Sendable @escaping (_ offset: Int64, _ send: ([UInt8]) async throws -> Void) async throws -> Void
    ) async throws -> String {
        typealias Request = Containerd_Services_Content_V1_WriteContentRequest
        let (offsets, firstOffset) = AsyncStream.makeStream(of: Int64.self)
        let total = size ?? 0
        let digest = expected.map { "\($0)" } ?? ""
        let request = StreamingClientRequest(of: Request.self) { writer in
            // The daemon tells how much of the reference it holds already.
            try await writer.write(
                .with {
                    $0.action = .stat
                    $0.ref = reference
                    $0.total = total
                    $0.expected = digest
                })
            var waiting = offsets.makeAsyncIterator()
            guard var offset = await waiting.next() else { return }
            try await body(offset) { piece in
                try await writer.write(
                    .with {
                        $0.action = .write
                        $0.offset = offset
                        $0.data = .init(piece)
                    })
                offset += Int64(piece.count)
            }
            try await writer.write(
                .with {
                    $0.action = .commit
                    $0.offset = offset
                    $0.total = size ?? offset
                    $0.expected = digest
                    $0.labels = labels
                })
        }
        return try await doing("write content \(reference)") {
            try await content.write(request: request, options: Session.current.callOptions) { response in
                defer { firstOffset.finish() }
                var last = ""
                var isFirst = true
                for try await message in response.messages {
                    if isFirst { firstOffset.yield(message.offset) }
                    isFirst = false
                    last = message.digest
                }
                return last
            }
        }
    }
}
