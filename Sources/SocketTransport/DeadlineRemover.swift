internal import NIOCore
internal import NIOHTTP2

/// Takes the deadline (`grpc-timeout`) out of a call's headers, on the server.
///
/// gRPC would have a task sleep until then, which ends with the call, but whose timer stays with 2 KiB: the calls of two
/// minutes, which is what a kubelet grants each of them. Nothing is lost: a client keeps its deadline itself and resets the
/// stream, which cancels the call, and on a socket of this host no reset is lost.
final class DeadlineRemover: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = HTTP2Frame.FramePayload

    private static let header = "grpc-timeout"

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .headers(var frame) = unwrapInboundIn(data), frame.headers.contains(name: Self.header) else {
            context.fireChannelRead(data)
            return
        }
        frame.headers.remove(name: Self.header)
        context.fireChannelRead(wrapInboundOut(.headers(frame)))
    }
}
