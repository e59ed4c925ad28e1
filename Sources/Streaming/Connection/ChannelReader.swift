internal import NIOCore

/// What a channel received, for the head of a request first and then for its streams: NIO lets a channel be iterated
/// once only.
///
/// Unchecked: the task that reads the head hands it over to the one that reads the streams; they never read at once.
final class ChannelReader: @unchecked Sendable {
    private let iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator

    init(_ stream: NIOAsyncChannelInboundStream<ByteBuffer>) {
        iterator = stream.makeAsyncIterator()
    }

    /// - Returns: `nil` when the peer has closed the connection.
    func next() async throws -> [UInt8]? {
        // The state is in an object that the iterator refers to.
        var iterator = iterator
        return try await iterator.next().map { Array($0.readableBytesView) }
    }

    /// The head of a request or response, and the bytes after it; `nil` where the connection ends before.
    func head() async throws -> (HTTPHead, [UInt8])? {
        var parser = HTTPHeadParser()
        while let bytes = try await next() {
            if let received = try parser.receive(bytes) { return received }
        }
        return nil
    }
}
