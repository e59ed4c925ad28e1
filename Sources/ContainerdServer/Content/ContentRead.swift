internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import struct Foundation.Data

extension ContentServer {
    /// Well below the message size that clients accept.
    private static let chunk: Int64 = 1 << 20

    func read(
        request: Containerd_Services_Content_V1_ReadContentRequest,
        response: RPCWriter<Containerd_Services_Content_V1_ReadContentResponse>, context: ServerContext
    ) async throws {
        let scope = try CallHeaders.scope()
        let reader = try await content.open(Digest(request.digest), namespace: scope.namespace)
        guard request.offset >= 0 else {
            throw BerthError.invalid(field: "offset", value: request.offset, rule: "must not be negative")
        }
        guard request.size >= 0 else {
            throw BerthError.invalid(field: "size", value: request.size, rule: "must not be negative")
        }
        guard request.offset <= reader.size else {
            throw RPCError(
                code: .outOfRange,
                message: "read at \(request.offset) is beyond the \(reader.size) bytes of \(request.digest)")
        }
        var offset = request.offset
        // A client need not know how much there is: its buffer may be larger.
        let available = reader.size - offset
        let end = offset + (request.size == 0 ? available : min(request.size, available))
        while offset < end {
            let bytes = try reader.read(at: offset, count: Int(min(Self.chunk, end - offset)))
            guard !bytes.isEmpty else {
                throw BerthError(.dataLoss, "content \(request.digest) ends at \(offset) instead of \(end)")
            }
            var message = Containerd_Services_Content_V1_ReadContentResponse()
            message.offset = offset
            message.data = Data(bytes)
            try await response.write(message)
            offset += Int64(bytes.count)
        }
    }
}
