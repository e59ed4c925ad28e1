internal import AsyncHTTPClient
internal import Core
internal import NIOCore
internal import OCISpec

/// Sends one blob: mounted from another repository if that works, else in one piece, or in chunks (distribution-spec 1.1,
/// "Pushing blobs").
struct BlobUpload {
    let session: RegistrySession
    let blob: Descriptor
    let content: ContentStore
    let sent: @Sendable (Int64) -> Void

    private var client: RegistryClient { session.client }
    private var what: String { "upload of blob \(blob.digest)" }

    private enum Begun {
        case mounted
        /// Where to send it.
        case location(String)
    }

    /// - Returns: whether it was mounted, so that nothing had to be sent.
    func run(mountingFrom sources: [String]) async throws -> Bool {
        let reader = try content.open(blob.digest)
        guard reader.size == blob.size else {
            throw BerthError(
                .dataLoss, "blob \(blob.digest) has \(reader.size) bytes, its descriptor says \(blob.size)")
        }
        for source in sources.prefix(8) {
            if case .mounted = try await retrying({ try await begin(mountingFrom: source) }) { return true }
        }
        guard let chunk = client.configuration.uploadChunk, chunk > 0, blob.size > chunk else {
            try await retrying { try await whole(reader) }
            return false
        }
        try await inChunks(reader, of: chunk)
        return false
    }

    private func retrying<Result>(_ body: () async throws -> Result) async throws -> Result {
        try await client.retrying("blob \(blob.digest)", attempts: session.attempts, body)
    }

    private func begin(mountingFrom source: String?) async throws -> Begun {
        var path = "blobs/uploads/"
        if let source {
            path += "?" + RegistryAddress.form([("mount", "\(blob.digest)"), ("from", source)])
        }
        var request = session.request(path)
        request.method = .POST
        request.headers.add(name: "Content-Length", value: "0")
        let response = try await session.send(request)
        switch response.status.code {
        case 201 where source != nil:
            await client.drain(response)
            return .mounted
        // Who may not read the other repository is told so by some registries, and offered an upload by others.
        case 401 where source != nil, 403 where source != nil, 404 where source != nil:
            await client.drain(response)
            return .location("")
        case 202:
            guard let location = response.headers.first(name: "Location") else { break }
            await client.drain(response)
            return .location(try session.encrypted(RegistryAddress.resolve(location, against: request.url)))
        default: break
        }
        throw await session.failure(response, what: what)
    }

    private func location() async throws -> String {
        guard case .location(let address) = try await begin(mountingFrom: nil) else {
            throw BerthError(.unavailable, "\(what): registry \(session.host.name) named no place for it")
        }
        return address
    }

    // MARK: In one piece

    private func whole(_ reader: BlobReader) async throws {
        var request = finishing(try await location())
        request.headers.add(name: "Content-Type", value: "application/octet-stream")
        request.body = .stream(
            BlobPieces(reader: reader, from: 0, to: blob.size, sent: sent), length: .known(blob.size))
        // The answer comes when all of the blob is there; a stall ends it sooner.
        try await finish(session.send(request, limit: .hours(12)))
    }

    private func finishing(_ address: String) -> HTTPClientRequest {
        let digest = RegistryAddress.form([("digest", blob.digest.description)])
        var request = session.request(address + (address.contains("?") ? "&" : "?") + digest)
        request.method = .PUT
        return request
    }

    private func finish(_ response: RegistrySession.Response) async throws {
        guard response.status.code == 201 else { throw await session.failure(response, what: what) }
        await client.drain(response)
    }

    // MARK: In chunks

    /// Where the upload goes on.
    private struct Position {
        var address: String
        var offset: Int64
    }

    private func inChunks(_ reader: BlobReader, of size: Int64) async throws {
        var position = Position(address: try await retrying { try await location() }, offset: 0)
        while position.offset < blob.size { position = try await chunk(reader, at: position, size) }
        let address = position.address
        try await retrying {
            var request = finishing(address)
            request.headers.add(name: "Content-Length", value: "0")
            try await finish(session.send(request))
        }
    }

    /// Sends one chunk; after a failure, from where the registry says that it has got.
    private func chunk(_ reader: BlobReader, at start: Position, _ size: Int64) async throws -> Position {
        var isFirst = true
        return try await client.retrying("blob \(blob.digest)", attempts: session.attempts) {
            var position = start
            if !isFirst { position = try await reached(after: start) }
            isFirst = false
            let end = min(position.offset + size, blob.size)
            guard position.offset < end else { return position }
            var request = session.request(position.address)
            request.method = .PATCH
            request.headers.add(name: "Content-Type", value: "application/octet-stream")
            request.headers.add(name: "Content-Range", value: "\(position.offset)-\(end - 1)")
            request.body = .stream(
                BlobPieces(reader: reader, from: position.offset, to: end, sent: sent),
                length: .known(end - position.offset))
            let response = try await session.send(request, limit: .hours(12))
            guard response.status.code == 202 else { throw await session.failure(response, what: what) }
            await client.drain(response)
            return Position(address: try next(response, after: position.address), offset: end)
        }
    }

    /// What the registry has of it (distribution-spec 1.1, "Pushing a blob in chunks").
    private func reached(after start: Position) async throws -> Position {
        let response = try await session.send(session.request(start.address))
        guard response.status.code == 204 || response.status.code == 202 else {
            throw await session.failure(response, what: what)
        }
        await client.drain(response)
        let range = response.headers.first(name: "Range") ?? ""
        let last = range.split(separator: "-").last.flatMap { Int64($0) } ?? -1
        // "0-0" is also what an empty upload answers.
        let offset = last > 0 ? last + 1 : 0
        guard (0...blob.size).contains(offset) else {
            throw BerthError(
                .unavailable, "\(what): registry \(session.host.name) claims to have \(offset) of \(blob.size) bytes")
        }
        return Position(address: try next(response, after: start.address), offset: offset)
    }

    private func next(_ response: RegistrySession.Response, after address: String) throws -> String {
        guard let location = response.headers.first(name: "Location") else { return address }
        return try session.encrypted(RegistryAddress.resolve(location, against: address))
    }
}

/// A part of a blob as the body of a request; each iteration starts at its beginning.
private struct BlobPieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let reader: BlobReader
    let from: Int64
    let to: Int64
    let sent: @Sendable (Int64) -> Void

    struct AsyncIterator: AsyncIteratorProtocol {
        let pieces: BlobPieces
        var offset: Int64

        mutating func next() async throws -> ByteBuffer? {
            let bytes = try pieces.reader.read(at: offset, count: Int(Swift.min(256 << 10, pieces.to - offset)))
            guard !bytes.isEmpty else { return nil }
            offset += Int64(bytes.count)
            pieces.sent(offset)
            return ByteBuffer(bytes: bytes)
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pieces: self, offset: from) }
}
