internal import Core
internal import NIOCore
internal import NIOPosix

/// How a client talks to a streaming server.
public enum StreamTransport: String, CaseIterable, Sendable {
    case spdy
    case websocket
}

/// The other end of a `StreamingServer`, or of any CRI runtime's.
public enum StreamingClient {
    static let connectTimeout = TimeAmount.seconds(10)

    /// Takes part in an exec or attach.
    ///
    /// - Parameters:
    ///   - url: what Exec or Attach answered.
    ///   - streams: the local side: stdin is read from, stdout and stderr are written to.
    /// - Returns: the exit code that the server told.
    /// - Throws: `BerthError` with the server's own text where the command could not run.
    public static func run(
        url: String, transport: StreamTransport, tty: Bool, streams: CommandStreams
    ) async throws -> Int32 {
        let target = try StreamURL(url)
        switch transport {
        case .spdy:
            let versions = RemoteCommandProtocol.spdy
            let fields: [HTTPHead.Field] =
                [.init("Connection", "Upgrade"), .init("Upgrade", StreamHeader.spdy)]
                + versions.map { .init(StreamHeader.protocolVersion, $0.rawValue) }
            return try await connect(target, method: "POST", fields) { response, channel, inbound, outbound, early in
                let chosen = response.list(StreamHeader.protocolVersion).first ?? RemoteCommandProtocol.v1.rawValue
                guard let version = RemoteCommandProtocol(rawValue: chosen) else {
                    throw BerthError(.internal, "the server chose protocol \"\(chosen)\", which was not asked for")
                }
                let connection = MultiplexedConnection(SPDYFraming(isServer: false))
                return try await connection.run(inbound, outbound, early: early, lingers: false) { connection in
                    let opened = try await open(on: connection, version, tty: tty, streams)
                    return try await ClientSession(version: version, streams: opened).run(streams)
                }
            }
        case .websocket:
            let protocols = [ChannelProtocol.all[0], ChannelProtocol.all[1]]
            return try await connectWebSocket(target, protocols.map(\.name)) { response, inbound, outbound, early in
                let name = response.list("Sec-WebSocket-Protocol").first ?? ""
                guard let chosen = protocols.first(where: { $0.name == name }) else {
                    throw BerthError(.internal, "the server chose protocol \"\(name)\", which was not asked for")
                }
                let connection = MultiplexedConnection(
                    ChannelFraming(
                        isServer: false, channels: 0...4, isBase64: false, canEndChannels: chosen.version == .v5),
                    channels: Array(0...4))
                return try await connection.run(inbound, outbound, early: early, lingers: false) { connection in
                    let opened = Dictionary(
                        uniqueKeysWithValues: kinds(chosen.version, tty: tty, streams).map {
                            ($0, connection.stream($0.channel))
                        })
                    return try await ClientSession(version: chosen.version, streams: opened).run(streams)
                }
            }
        }
    }

    private static func kinds(
        _ version: RemoteCommandProtocol, tty: Bool, _ streams: CommandStreams
    ) -> [CommandStream] {
        var kinds: [CommandStream] = [.error]
        if streams.stdin != nil { kinds.append(.stdin) }
        if streams.stdout != nil { kinds.append(.stdout) }
        if streams.stderr != nil, !tty { kinds.append(.stderr) }
        if tty, version.canResize { kinds.append(.resize) }
        return kinds
    }

    private static func open(
        on connection: MultiplexedConnection, _ version: RemoteCommandProtocol, tty: Bool, _ streams: CommandStreams
    ) async throws -> [CommandStream: MultiplexedStream] {
        var opened: [CommandStream: MultiplexedStream] = [:]
        for kind in kinds(version, tty: tty, streams) {
            opened[kind] = try await connection.open([StreamHeader.type: kind.rawValue])
        }
        return opened
    }

    // MARK: Connecting

    typealias Inbound = ChannelReader
    typealias Outbound = NIOAsyncChannelOutboundWriter<ByteBuffer>

    static func connectWebSocket<Result: Sendable>(
        _ target: StreamURL, _ protocols: [String],
        _ body: @escaping @Sendable (HTTPHead, Inbound, Outbound, [UInt8]) async throws -> Result
    ) async throws -> Result {
        let random = (0..<4).flatMap { _ in UInt32.random(in: .min ... .max).bigEndianBytes }
        let key = String(decoding: Base64.encode(random), as: UTF8.self)
        let fields: [HTTPHead.Field] = [
            .init("Connection", "Upgrade"), .init("Upgrade", "websocket"), .init("Sec-WebSocket-Version", "13"),
            .init("Sec-WebSocket-Key", key), .init("Sec-WebSocket-Protocol", protocols.joined(separator: ", ")),
        ]
        return try await connect(target, method: "GET", fields) { response, _, inbound, outbound, early in
            guard response.list("Sec-WebSocket-Accept").first == Upgrade.accept(key) else {
                throw BerthError(.internal, "the server's answer is not that of WebSocket")
            }
            return try await body(response, inbound, outbound, early)
        }
    }

    /// Sends the request, and runs `body` when the server has upgraded the connection.
    static func connect<Result: Sendable>(
        _ target: StreamURL, method: String, _ fields: [HTTPHead.Field],
        _ body: @escaping @Sendable (HTTPHead, any Channel, Inbound, Outbound, [UInt8]) async throws -> Result
    ) async throws -> Result {
        let client: NIOAsyncChannel<ByteBuffer, ByteBuffer>
        do {
            client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(connectTimeout)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .connect(host: target.host, port: target.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw BerthError(.unavailable, "could not connect to \(target.host):\(target.port)", cause: error)
        }
        return try await client.executeThenClose { stream, outbound in
            let inbound = ChannelReader(stream)
            let head = HTTPHead.request(
                method, target.path, [.init("Host", "\(target.host):\(target.port)")] + fields)
            try await outbound.write(ByteBuffer(bytes: head.encoded()))
            guard let (response, early) = try await inbound.head() else {
                throw BerthError(.unavailable, "the server closed the connection without an answer")
            }
            guard response.status == 101 else {
                let text = String(decoding: early.prefix(500), as: UTF8.self)
                throw BerthError(
                    .failedPrecondition, "the server answered \(response.second) \(response.third): \(text.firstLine)")
            }
            return try await body(response, client.channel, inbound, outbound, early)
        }
    }
}

/// `http://HOST:PORT/PATH`
struct StreamURL: Sendable, Equatable {
    var host: String
    var port: Int
    var path: String

    init(_ text: String) throws {
        guard text.hasPrefix("http://") else {
            throw BerthError(.invalidArgument, "streaming URL \"\(text)\" is not http://")
        }
        let rest = text.dropFirst(7)
        let authority = rest.prefix { $0 != "/" }
        path = authority.endIndex == rest.endIndex ? "/" : String(rest[authority.endIndex...])
        var name = authority
        var number = 80
        if let colon = authority.lastIndex(of: ":"), authority.last != "]" {
            name = authority[..<colon]
            guard let given = Int(authority[authority.index(after: colon)...]), (1...65535).contains(given) else {
                throw BerthError(.invalidArgument, "streaming URL \"\(text)\" has no port that is a number")
            }
            number = given
        }
        host = String(name.drop { $0 == "[" }.prefix { $0 != "]" })
        port = number
        guard !host.isEmpty else { throw BerthError(.invalidArgument, "streaming URL \"\(text)\" names no host") }
    }
}

extension String {
    fileprivate var firstLine: String { String(prefix { !$0.isNewline }) }
}
