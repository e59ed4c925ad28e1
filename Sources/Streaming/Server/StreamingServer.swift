internal import Core
public import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// The HTTP server behind the URLs of Exec, Attach and PortForward.
///
///     GET or POST /exec/TOKEN /attach/TOKEN /portforward/TOKEN, upgraded to SPDY/3.1 or WebSocket
///
/// A URL is handed out by `url(for:)` to whoever may call the CRI, works once and for a minute.
public final class StreamingServer: Sendable {
    typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// Connections at once; more are closed at once.
    static let connectionLimit = 4000
    /// For the head of the request.
    static let headTimeout = Duration.seconds(10)

    private let channel: NIOAsyncChannel<Connection, Never>
    private let runtime: any StreamingRuntime
    private let logger: Logger
    private let tokens = StreamTokens()
    private let connections = Atomic(0)
    private let base: String

    private init(
        channel: NIOAsyncChannel<Connection, Never>, base: String, runtime: any StreamingRuntime, logger: Logger
    ) {
        self.channel = channel
        self.base = base
        self.runtime = runtime
        self.logger = logger
    }

    /// Listens; `run()` serves.
    ///
    /// - Parameter port: 0 for any free one.
    public static func listen(
        address: String, port: Int, runtime: any StreamingRuntime, logger: Logger
    ) async throws -> StreamingServer {
        do {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: false)
                .bind(host: address, port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try Connection(wrappingChannelSynchronously: channel)
                    }
                }
            let port = channel.channel.localAddress?.port ?? port
            let host = address.contains(":") ? "[\(address)]" : address
            return StreamingServer(channel: channel, base: "http://\(host):\(port)", runtime: runtime, logger: logger)
        } catch {
            throw BerthError(
                .unavailable, "could not listen on \(address):\(port) for exec, attach and port-forward", cause: error,
                advice: "choose another with streaming.address and streaming.port")
        }
    }

    /// - Throws: `BerthError` (`resourceExhausted`) where too many URLs are unused.
    public func url(for request: StreamRequest) throws -> String {
        "\(base)/\(request.path)/\(try tokens.issue(request))"
    }

    /// Serves until the task is cancelled.
    public func run() async throws {
        try await channel.executeThenClose { clients in
            try await withThrowingDiscardingTaskGroup { group in
                for try await client in clients {
                    group.addTask { await self.serve(client) }
                }
                group.cancelAll()
            }
        }
    }

    private func serve(_ client: Connection) async {
        guard connections.wrappingAdd(1, ordering: .relaxed).newValue <= Self.connectionLimit else {
            connections.wrappingSubtract(1, ordering: .relaxed)
            logger.warning("more than \(Self.connectionLimit) streaming connections: one was refused")
            try? await client.channel.close().get()
            return
        }
        defer { connections.wrappingSubtract(1, ordering: .relaxed) }
        do {
            try await client.executeThenClose { inbound, outbound in
                try await self.serve(client.channel, ChannelReader(inbound), outbound)
            }
        } catch {
            logger.debug("a streaming connection ended", metadata: ["error": "\(error)"])
        }
    }

    private func serve(
        _ channel: any Channel, _ inbound: ChannelReader, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) async throws {
        let head: HTTPHead
        let early: [UInt8]
        do {
            guard let received = try await Self.head(channel, inbound) else { return }
            (head, early) = received
        } catch let error as BerthError {
            try await Self.answer(outbound, .badRequest("\(error)"))
            return
        }
        switch plan(head) {
        case .refuse(let refusal):
            logger.info("streaming request refused", metadata: ["path": "\(head.path)", "status": "\(refusal.status)"])
            try await Self.answer(outbound, refusal)
        case .accept(let upgrade, let request):
            try await outbound.write(ByteBuffer(bytes: upgrade.response.encoded()))
            let session = StreamSession(request: request, upgrade: upgrade, runtime: runtime, logger: logger)
            try await session.run(channel, inbound, outbound, early: early)
        }
    }

    private enum Plan {
        case refuse(HTTPRefusal)
        case accept(Upgrade, StreamRequest)
    }

    private func plan(_ head: HTTPHead) -> Plan {
        let parts = head.path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, ["exec", "attach", "portforward"].contains(parts[1]) else {
            return .refuse(HTTPRefusal(404, "Not Found", "there is nothing at \(head.path)"))
        }
        guard ["GET", "POST"].contains(head.first) else {
            return .refuse(HTTPRefusal(405, "Method Not Allowed", "\(head.first) is not served here"))
        }
        let (path, token) = (String(parts[1]), String(parts[2]))
        // Before the token is used up: a client may ask again with another protocol, as kubectl does.
        switch Upgrade.negotiate(head, isPortForward: path == "portforward") {
        case .failure(let refusal): return .refuse(refusal)
        case .success(let upgrade):
            guard let request = tokens.redeem(token), request.path == path else {
                return .refuse(HTTPRefusal(404, "Not Found", "the URL was used already, or is older than a minute"))
            }
            return .accept(upgrade, request)
        }
    }

    private static func answer(
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ refusal: HTTPRefusal
    ) async throws {
        try await outbound.write(ByteBuffer(bytes: refusal.encoded))
    }

    private static func head(
        _ channel: any Channel, _ inbound: ChannelReader
    ) async throws -> (HTTPHead, [UInt8])? {
        // Who does not send a request is closed, which ends the wait.
        let timeout = channel.eventLoop.scheduleTask(in: .seconds(headTimeout.components.seconds)) {
            channel.close(promise: nil)
        }
        defer { timeout.cancel() }
        return try await inbound.head()
    }
}
