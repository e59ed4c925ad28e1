internal import AsyncHTTPClient
internal import Core
internal import NIOCore
internal import OCISpec

/// The transfer of one blob: goes on after a broken one by range, verifies digest and size.
struct BlobFetch {
    let blob: Descriptor
    let session: RegistrySession
    let content: ContentStore
    let progress: @Sendable (PullProgress) -> Void

    func run() async throws {
        if content.contains(blob.digest) {
            report(blob.size, .exists)
            return
        }
        let writer = try content.ingest(
            "pull-\(blob.digest)", total: blob.size, algorithm: blob.digest.algorithm)
        do {
            try await session.client.retrying("blob \(blob.digest)") { try await transfer(writer) }
        } catch {
            // Kept for the next pull: it goes on where this one stopped.
            writer.suspend()
            throw error
        }
        do {
            try writer.commit(expecting: blob.digest, size: blob.size)
        } catch {
            writer.abort()
            throw BerthError.wrapping(error, "blob \(blob.digest) from \(session.domain) is not what was announced")
        }
        report(blob.size, .done)
    }

    private func transfer(_ writer: IngestWriter) async throws {
        var headers: [(String, String)] = []
        if writer.offset == blob.size, blob.size > 0 { return }
        if writer.offset > 0 { headers.append(("Range", "bytes=\(writer.offset)-")) }
        let response = try await session.get("blobs/\(blob.digest)", headers: headers)
        switch response.status.code {
        case 206:
            let range = response.headers.first(name: "Content-Range") ?? ""
            guard range.hasPrefix("bytes \(writer.offset)-") else {
                try writer.truncate()
                throw TransientFailure("the registry answered range \"\(range)\" for bytes \(writer.offset) and on")
            }
        case 200: if writer.offset > 0 { try writer.truncate() }
        case 416:
            try writer.truncate()
            throw TransientFailure("the registry refused to go on at byte \(writer.offset)")
        default: throw await session.failure(response, what: "blob \(blob.digest)")
        }
        report(writer.offset, .downloading)
        var told = writer.offset
        for try await buffer in response.body {
            try buffer.withUnsafeReadableBytes { try writer.write($0) }
            if writer.offset - told >= 1 << 18 {
                told = writer.offset
                report(told, .downloading)
            }
        }
        guard writer.offset == blob.size else {
            throw TransientFailure("the connection ended after \(writer.offset) of \(blob.size) bytes")
        }
    }

    private func report(_ received: Int64, _ state: PullProgress.State) {
        progress(PullProgress(descriptor: blob, received: received, state: state))
    }
}
