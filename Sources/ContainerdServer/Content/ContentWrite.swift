internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

extension ContentServer {
    /// One blob per call: the first message names the write, each message may bring bytes, `commit` ends it.
    ///
    /// A client that goes away keeps its bytes under the reference and may continue at the offset that `stat` tells.
    func write(
        request: RPCAsyncSequence<Containerd_Services_Content_V1_WriteContentRequest, any Error>,
        response: RPCWriter<Containerd_Services_Content_V1_WriteContentResponse>, context: ServerContext
    ) async throws {
        let scope = try CallHeaders.scope()
        var session: WriteSession?
        do {
            for try await message in request {
                if session == nil { session = try await WriteSession(first: message, content: content, scope: scope) }
                guard let answer = try await session?.handle(message) else { break }
                try await response.write(answer)
                if message.action == .commit { break }
            }
        } catch {
            session?.write.close()
            throw error
        }
        session?.write.close()
    }
}

/// What is known of a write so far.
private struct WriteSession {
    let content: ContentService
    let scope: StorageScope
    let write: ContentWrite
    var total: Int64
    var expected: Digest?

    init(
        first: Containerd_Services_Content_V1_WriteContentRequest, content: ContentService, scope: StorageScope
    ) async throws {
        guard !first.ref.isEmpty else {
            throw BerthError.invalid(field: "ref", value: "", rule: "must be given in the first message")
        }
        self.content = content
        self.scope = scope
        total = first.total
        expected = first.expected.isEmpty ? nil : try Digest(first.expected)
        write = try await content.write(first.ref, total: first.total, expected: expected, scope: scope)
    }

    mutating func handle(
        _ message: Containerd_Services_Content_V1_WriteContentRequest
    ) async throws -> Containerd_Services_Content_V1_WriteContentResponse {
        if !message.expected.isEmpty {
            let digest = try Digest(message.expected)
            if digest != expected || message.action == .commit {
                do {
                    try await content.refuse(ifPresent: digest, labels: message.labels, scope: scope)
                } catch {
                    write.abort()
                    throw error
                }
            }
            expected = digest
        }
        if message.total > 0 { total = message.total }

        var answer = Containerd_Services_Content_V1_WriteContentResponse()
        answer.action = message.action
        answer.offset = write.offset
        switch message.action {
        case .stat:
            answer.digest = try write.digest.description
            answer.startedAt = Google_Protobuf_Timestamp(nanoseconds: write.startedAt)
            answer.updatedAt = Google_Protobuf_Timestamp(nanoseconds: write.updatedAt)
            answer.total = total
        case .write, .commit:
            try append(message)
            answer.offset = write.offset
            answer.digest =
                message.action == .commit
                ? try await write.commit(total: total, expected: expected, labels: message.labels).description
                : try write.digest.description
        case .UNRECOGNIZED(let number):
            throw BerthError.invalid(field: "action", value: number, rule: "is unknown")
        }
        return answer
    }

    private func append(_ message: Containerd_Services_Content_V1_WriteContentRequest) throws {
        guard message.offset >= 0 else {
            throw BerthError.invalid(field: "offset", value: message.offset, rule: "must not be negative")
        }
        if message.offset > 0, message.offset != write.offset {
            throw RPCError(
                code: .outOfRange,
                message:
                    "write at \(message.offset) must be at the present offset \(write.offset) of \"\(write.reference)\""
            )
        }
        // A client that begins at 0 begins again. A commit without data says nothing of the offset.
        if message.offset == 0, write.offset > 0, message.action == .write || !message.data.isEmpty {
            try write.truncate()
        }
        if !message.data.isEmpty { try message.data.withUnsafeBytes { try write.write($0) } }
    }
}
