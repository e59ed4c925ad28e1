internal import AsyncHTTPClient
internal import Core
internal import LinuxKernel
internal import NIOCore
internal import OCISpec

/// The transfer of one blob: goes on after a broken one by range, verifies digest and size.
struct BlobFetch {
    let blob: Descriptor
    let client: RegistryClient
    let route: RegistryRoute
    let content: ContentStore
    let arrivals: BlobArrivals
    let progress: @Sendable (PullProgress) -> Void

    func run() async throws {
        if content.contains(blob.digest) {
            try verifyPresent()
            report(blob.size, .exists)
            return
        }
        try await client.downloads.withPermit { try await download() }
        report(blob.size, .done)
    }

    private func download() async throws {
        // What was kept of an earlier try is read again, which may take a while.
        let (content, blob) = (content, blob)
        let writer = try await BlockingWork.run {
            try content.ingest(Self.ingestReference(of: blob), total: blob.size, algorithm: blob.digest.algorithm)
        }
        do {
            arrivals.began(blob.digest, try writer.follow())
            try await route.firstAnswer("blob \(blob.digest)", that: .pull) { try await fetch(writer, from: $0) }
        } catch {
            // Kept for the next pull: it goes on where this one stopped.
            if writer.offset > 0 { writer.suspend() } else { writer.abort() }
            throw error
        }
    }

    static func ingestReference(of blob: Descriptor) -> String { "pull-\(blob.digest)" }

    private func verifyPresent() throws {
        let size = try content.info(blob.digest).size
        guard size == blob.size else {
            throw BerthError(
                .invalidArgument,
                "blob \(blob.digest) has \(size) bytes instead of the \(blob.size) that the manifest says")
        }
    }

    private func fetch(_ writer: IngestWriter, from session: RegistrySession) async throws {
        let isContinued = writer.offset > 0
        try await complete(writer, from: session)
        if try await commit(writer) { return }
        // What an earlier try left may have been damaged, by a power loss or another host: once more from the start.
        if isContinued {
            try await complete(writer, from: session)
            if try await commit(writer) { return }
        }
        throw BerthError(.dataLoss, "blob \(blob.digest) from \(session.host.name) has another digest")
    }

    /// - Returns: `false`, and nothing is left in the writer, if the content is not what it should be.
    private func commit(_ writer: IngestWriter) async throws -> Bool {
        let blob = blob
        return try await BlockingWork.run {
            do {
                try writer.commit(expecting: blob.digest, size: blob.size)
                return true
            } catch let error as BerthError where error.code == .failedPrecondition {
                try writer.truncate()
                return false
            }
        }
    }

    private func complete(_ writer: IngestWriter, from session: RegistrySession) async throws {
        try await client.retrying(
            "blob \(blob.digest)", attempts: session.attempts, progress: { writer.offset }
        ) { try await transfer(writer, from: session) }
    }

    private func transfer(_ writer: IngestWriter, from session: RegistrySession) async throws {
        if writer.offset > blob.size { try writer.truncate() }
        if writer.offset == blob.size, blob.size > 0 { return }
        let headers = writer.offset > 0 ? [("Range", "bytes=\(writer.offset)-")] : []
        let response = try await session.get("blobs/\(blob.digest)", headers: headers)
        try await prepare(writer, for: response, from: session)
        report(writer.offset, .downloading)
        var told = writer.offset
        var pace = TransferPace(client.configuration, at: writer.offset)
        try await RegistryClient.forEachPiece(of: response) { buffer in
            guard Int64(buffer.readableBytes) <= blob.size - writer.offset else {
                try writer.truncate()
                throw BerthError(
                    .dataLoss,
                    "blob \(blob.digest) from \(session.host.name) is longer than the announced \(blob.size) bytes")
            }
            try buffer.withUnsafeReadableBytes { try writer.write($0) }
            try pace.check(writer.offset)
            if writer.offset - told >= 1 << 18 {
                told = writer.offset
                report(told, .downloading)
            }
        }
        guard writer.offset == blob.size else {
            throw TransientFailure("the connection ended after \(writer.offset) of \(blob.size) bytes")
        }
    }

    /// Puts the writer where the response's body begins.
    private func prepare(
        _ writer: IngestWriter, for response: HTTPClientResponse, from session: RegistrySession
    ) async throws {
        switch response.status.code {
        case 206:
            let range = response.headers.first(name: "Content-Range") ?? ""
            guard range.hasPrefix("bytes \(writer.offset)-") else {
                let offset = writer.offset
                try writer.truncate()
                throw TransientFailure(
                    "registry \(session.host.name) answered range \"\(RegistryAddress.printable(range, limit: 80))\" for bytes \(offset) and on"
                )
            }
        case 200: if writer.offset > 0 { try writer.truncate() }
        case 416:
            let offset = writer.offset
            try writer.truncate()
            throw TransientFailure("registry \(session.host.name) refused to go on at byte \(offset)")
        default: throw await session.failure(response, what: "blob \(blob.digest)")
        }
    }

    private func report(_ received: Int64, _ state: PullProgress.State) {
        progress(PullProgress(descriptor: blob, received: received, state: state))
    }
}

/// Notices a transfer that goes on, but so slowly that it might as well have stalled.
private struct TransferPace {
    private let window: Duration
    private let least: Int64
    private var since = ContinuousClock.now
    private var from: Int64

    init(_ configuration: RegistryClient.Configuration, at offset: Int64) {
        window = .seconds(configuration.stallTimeout)
        least = configuration.slowestTransfer * configuration.stallTimeout
        from = offset
    }

    /// - Throws: `TransientFailure` if too little has come since the last window.
    mutating func check(_ offset: Int64) throws {
        let now = ContinuousClock.now
        guard now - since >= window else { return }
        guard offset - from >= least else {
            throw TransientFailure("only \(offset - from) bytes came in \(window)")
        }
        (since, from) = (now, offset)
    }
}
