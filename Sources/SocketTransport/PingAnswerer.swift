internal import NIOCore

/// Answers HTTP/2 PING frames (RFC 9113, section 6.7) before the connection sees them.
///
/// The HTTP/2 library takes more than 200 control frames within 30 seconds for an attack and closes the connection with all its
/// calls. gRPC of Go pings with nearly every answer that it reads, to find the bandwidth: a kubelet with many pods comes to
/// that in seconds. Who may open the socket is root, and need not be fended off.
final class PingAnswerer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let headerSize = 9
    private static let pingSize = 8
    private static let pingType: UInt8 = 6
    private static let acknowledgement: UInt8 = 1

    /// Bytes that go on unread: the client's preface, and what is left of a frame.
    private var passing: Int
    /// The beginning of a frame, until enough of it is there.
    private var begun: ByteBuffer?
    private var hasAnswered = false

    /// - Parameter preface: bytes before the first frame: 24 of a client (RFC 9113, section 3.4), none of a server.
    init(preface: Int) {
        passing = preface
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var rest = unwrapInboundIn(data)
        if var whole = begun {
            begun = nil
            whole.writeBuffer(&rest)
            rest = whole
        }
        // What goes on is cut only where a frame is taken out.
        var start = rest.readerIndex
        while rest.readableBytes > 0 {
            let step = min(passing, rest.readableBytes)
            rest.moveReaderIndex(forwardBy: step)
            passing -= step
            guard rest.readableBytes > 0 else { break }
            guard let frame = Self.header(of: rest) else {
                begun = rest.slice()
                break
            }
            if frame.isPing, context.channel.isWritable {
                guard let content = rest.getSlice(at: rest.readerIndex + Self.headerSize, length: Self.pingSize) else {
                    begun = rest.slice()
                    break
                }
                pass(rest, from: start, context)
                answer(content, context)
                rest.moveReaderIndex(forwardBy: Self.headerSize + Self.pingSize)
                start = rest.readerIndex
            } else {
                passing = Self.headerSize + frame.length
            }
        }
        pass(rest, from: start, context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if hasAnswered { context.flush() }
        hasAnswered = false
        context.fireChannelReadComplete()
    }

    private func pass(_ buffer: ByteBuffer, from start: Int, _ context: ChannelHandlerContext) {
        var read = buffer
        read.moveReaderIndex(to: start)
        guard let slice = read.readSlice(length: buffer.readerIndex - start), slice.readableBytes > 0 else { return }
        context.fireChannelRead(wrapInboundOut(slice))
    }

    private func answer(_ content: ByteBuffer, _ context: ChannelHandlerContext) {
        var frame = context.channel.allocator.buffer(capacity: Self.headerSize + Self.pingSize)
        frame.writeBytes([0, 0, UInt8(Self.pingSize), Self.pingType, Self.acknowledgement, 0, 0, 0, 0])
        frame.writeImmutableBuffer(content)
        context.write(wrapOutboundOut(frame), promise: nil)
        hasAnswered = true
    }

    /// - Returns: `nil` where less than a header is there.
    private static func header(of buffer: ByteBuffer) -> (length: Int, isPing: Bool)? {
        guard let bytes = buffer.getBytes(at: buffer.readerIndex, length: headerSize) else { return nil }
        let length = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
        let isPing = bytes[3] == pingType && bytes[4] & acknowledgement == 0 && length == pingSize
        return (length, isPing)
    }
}
