internal import Core
internal import Logging
internal import NIOCore

/// One upgraded connection: its streams, and what is run for it.
struct StreamSession: Sendable {
    let request: StreamRequest
    let upgrade: Upgrade
    let runtime: any StreamingRuntime
    let logger: Logger

    func run(
        _ channel: any Channel, _ inbound: ChannelReader, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>,
        early: [UInt8]
    ) async throws {
        let connection = multiplex()
        // Also while nothing is read of it, since a stream is full.
        channel.closeFuture.whenComplete { _ in connection.close() }
        try await connection.run(inbound, outbound, early: early, lingers: true) { connection in
            try await untilClosed(connection) { try await serve(connection) }
        }
    }

    private func multiplex() -> MultiplexedConnection {
        switch upgrade.transport {
        case .spdy, .portForward: return MultiplexedConnection(SPDYFraming(isServer: true))
        case .tunneledPortForward: return MultiplexedConnection(TunneledSPDY(isServer: true))
        case .channels(let version):
            let channels = CommandStream.allCases.map(\.channel).sorted()
            return MultiplexedConnection(
                ChannelFraming(
                    isServer: true, channels: 0...4, isBase64: version.isBase64,
                    canEndChannels: version.version == .v5), channels: channels)
        case .portForwardChannels(let isBase64):
            let count = UInt32(clamping: 2 * ports.count)
            return MultiplexedConnection(
                ChannelFraming(
                    isServer: true, channels: 0...max(count, 1) - 1, isBase64: isBase64, canEndChannels: false),
                channels: Array(0..<count))
        }
    }

    private var ports: [UInt16] {
        if case .portForward(_, let ports) = request { return Array(ports.prefix(100)) }
        return []
    }

    private func serve(_ connection: MultiplexedConnection) async throws {
        switch (upgrade.transport, request) {
        case (.portForward, .portForward(let sandbox, _)), (.tunneledPortForward, .portForward(let sandbox, _)):
            try await PortForwardSession(sandbox: sandbox, runtime: runtime, logger: logger).serve(connection)
        case (.portForwardChannels, .portForward(let sandbox, _)):
            try await PortForwardSession(sandbox: sandbox, runtime: runtime, logger: logger)
                .serve(connection, channelsFor: ports)
        case (.spdy(let version), .exec(let command, let words)):
            let streams = try await CommandSession.awaitStreams(connection, command, version)
            await CommandSession(command: command, version: version, streams: streams)
                .run { try await runtime.exec(command, command: words, streams: $0) }
        case (.spdy(let version), .attach(let command)):
            let streams = try await CommandSession.awaitStreams(connection, command, version)
            await CommandSession(command: command, version: version, streams: streams)
                .run {
                    try await runtime.attach(command, streams: $0)
                    return 0
                }
        case (.channels(let chosen), .exec(let command, let words)):
            let streams = CommandSession.channels(of: connection, command)
            await CommandSession(command: command, version: chosen.version, streams: streams)
                .run { try await runtime.exec(command, command: words, streams: $0) }
        case (.channels(let chosen), .attach(let command)):
            let streams = CommandSession.channels(of: connection, command)
            await CommandSession(command: command, version: chosen.version, streams: streams)
                .run {
                    try await runtime.attach(command, streams: $0)
                    return 0
                }
        default: throw BerthError(.internal, "the upgrade does not fit the request")
        }
    }

    /// Runs `body`, and cancels it when the connection has gone.
    private func untilClosed(
        _ connection: MultiplexedConnection, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let task = Task { try await body() }
        let watch = Task {
            await connection.waitForClose()
            task.cancel()
        }
        defer { watch.cancel() }
        try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            connection.close()
        }
    }
}
