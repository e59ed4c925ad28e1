internal import Core
internal import Glibc
public import GRPCCore
public import GRPCNIOTransportHTTP2Posix
internal import NIOCore
public import SystemPackage

/// gRPC over unix sockets, as daemons and their clients on one host speak it.
public enum SocketTransport {
    /// A server on `address`, where no file may be.
    ///
    /// - Parameters:
    ///   - loop: what the server is to be served on.
    ///   - maximumRequest: bytes.
    public static func server(
        _ address: FilePath, on loop: GRPCLoop, maximumRequest: Int = 16 << 20
    ) -> HTTP2ServerTransport.Posix {
        HTTP2ServerTransport.Posix(
            address: .unixDomainSocket(path: address.string), transportSecurity: .plaintext,
            config: .defaults {
                $0.rpc.maxRequestPayloadSize = maximumRequest
                $0.channelDebuggingCallbacks.onAcceptTCPConnection = {
                    put(PingAnswerer(preface: 24), in: $0)
                }
                $0.channelDebuggingCallbacks.onAcceptHTTP2Stream = { put(DeadlineRemover(), in: $0) }
            }, eventLoopGroup: loop.group)
    }

    /// A client of the socket at `path`.
    ///
    /// - Parameters:
    ///   - loop: where the client runs on one.
    ///   - longestPause: between two attempts to connect.
    public static func client(
        _ path: String, on loop: GRPCLoop? = nil, longestPause: Duration = .seconds(120),
        serviceConfig: ServiceConfig = .init()
    ) throws -> HTTP2ClientTransport.Posix {
        try HTTP2ClientTransport.Posix(
            // The path itself is no authority that a Go server would accept.
            target: .unixDomainSocket(path: path, authority: "localhost"), transportSecurity: .plaintext,
            config: .defaults {
                $0.backoff.max = longestPause
                $0.channelDebuggingCallbacks.onCreateTCPConnection = { put(PingAnswerer(preface: 0), in: $0) }
            },
            serviceConfig: serviceConfig, eventLoopGroup: loop?.group ?? .singletonMultiThreadedEventLoopGroup)
    }

    /// Before all that gRPC has put there.
    private static func put(
        _ handler: @Sendable @autoclosure @escaping () -> any ChannelHandler, in channel: any Channel
    ) -> EventLoopFuture<Void> {
        channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(handler(), position: .first)
        }
    }

    /// Connects and hangs up: gRPC would go on trying, while what is wrong with the socket is known at once.
    ///
    /// - Throws: `BerthError` (`invalidArgument`, `unavailable`).
    public static func probe(_ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw BerthError(.invalidArgument, "socket path \(path) is longer than 107 bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result != 0 else { return }
        let reason = errno
        let advice: String? =
            switch reason {
            case EACCES, EPERM: "are you root?"
            case ENOENT, ECONNREFUSED: path.contains("berth") ? "is berthd running?" : "is the daemon running?"
            default: nil
            }
        throw BerthError(
            .unavailable, "cannot connect to \(path): \(String(cString: strerror(reason)).lowercased())", advice: advice
        )
    }
}
