internal import Core
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Local ports that lead into a pod.
public struct PortForwardClient: Sendable {
    public struct Mapping: Sendable, Equatable {
        /// 0: any free one.
        public var local: UInt16
        public var remote: UInt16

        public init(local: UInt16, remote: UInt16) {
            self.local = local
            self.remote = remote
        }
    }

    let mappings: [Mapping]
    let address: String
    /// What happens, for the user.
    let told: @Sendable (String) -> Void

    /// - Parameters:
    ///   - address: what to listen on.
    ///   - told: is called with a line for each port that is listened on, and each connection that failed.
    public init(_ mappings: [Mapping], address: String = "127.0.0.1", told: @escaping @Sendable (String) -> Void) {
        self.mappings = mappings
        self.address = address
        self.told = told
    }

    /// Forwards until the task is cancelled, or the server closes the connection.
    ///
    /// - Parameter url: what PortForward answered.
    public func run(url: String, transport: StreamTransport) async throws {
        let target = try StreamURL(url)
        switch transport {
        case .spdy:
            let fields: [HTTPHead.Field] = [
                .init("Connection", "Upgrade"), .init("Upgrade", StreamHeader.spdy),
                .init(StreamHeader.protocolVersion, StreamHeader.portForward),
            ]
            try await StreamingClient.connect(target, method: "POST", fields) { _, _, inbound, outbound, early in
                let connection = MultiplexedConnection(SPDYFraming(isServer: false))
                try await connection.run(inbound, outbound, early: early, lingers: false) {
                    try await forward(over: $0)
                }
            }
        case .websocket:
            try await StreamingClient.connectWebSocket(target, [StreamHeader.tunnel]) { _, inbound, outbound, early in
                let connection = MultiplexedConnection(TunneledSPDY(isServer: false))
                try await connection.run(inbound, outbound, early: early, lingers: false) {
                    try await forward(over: $0)
                }
            }
        }
    }

    private func forward(over connection: MultiplexedConnection) async throws {
        let requests = Requests()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for mapping in mappings {
                let listener = try await listen(mapping)
                let local = listener.channel.localAddress?.port ?? Int(mapping.local)
                told("Forwarding from \(address):\(local) -> \(mapping.remote)")
                group.addTask {
                    try await serve(listener, mapping, connection, requests)
                }
            }
            group.addTask {
                await connection.waitForClose()
                throw BerthError(.unavailable, "the connection to the pod was lost")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private func listen(_ mapping: Mapping) async throws -> NIOAsyncChannel<Client, Never> {
        do {
            return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .bind(host: address, port: Int(mapping.local)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try Client(
                            wrappingChannelSynchronously: channel,
                            configuration: .init(isOutboundHalfClosureEnabled: true))
                    }
                }
        } catch {
            throw BerthError(.unavailable, "could not listen on \(address):\(mapping.local)", cause: error)
        }
    }

    private func serve(
        _ listener: NIOAsyncChannel<Client, Never>, _ mapping: Mapping, _ connection: MultiplexedConnection,
        _ requests: Requests
    ) async throws {
        try await listener.executeThenClose { clients in
            try await withThrowingDiscardingTaskGroup { group in
                for try await client in clients {
                    group.addTask {
                        do {
                            try await carry(client, mapping, connection, requests)
                        } catch let error as BerthError {
                            told("connection to port \(mapping.remote): \(error)")
                        } catch {
                            // The local client broke off.
                        }
                    }
                }
            }
        }
    }

    private func carry(
        _ client: Client, _ mapping: Mapping, _ connection: MultiplexedConnection, _ requests: Requests
    ) async throws {
        let id = requests.next()
        let headers = [StreamHeader.port: "\(mapping.remote)", StreamHeader.requestID: "\(id)"]
        try await client.executeThenClose { inbound, outbound in
            let error = try await connection.open(headers.merging([StreamHeader.type: "error"]) { $1 })
            error.end()
            let data = try await connection.open(headers.merging([StreamHeader.type: "data"]) { $1 })
            defer {
                for stream in [error, data] {
                    stream.reset()
                    connection.forget(stream.id)
                }
            }
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    for try await buffer in inbound { try await data.write(Array(buffer.readableBytesView)) }
                    data.end()
                    return false
                }
                group.addTask {
                    while let bytes = try await data.read() { try await outbound.write(ByteBuffer(bytes: bytes)) }
                    outbound.finish()
                    return true
                }
                defer { group.cancelAll() }
                var ended = false
                while !ended, let outputEnded = try await group.next() { ended = outputEnded }
            }
            var message: [UInt8] = []
            while message.count < 4096, let bytes = try await error.read() { message += bytes }
            guard message.isEmpty else { throw BerthError(.unavailable, String(decoding: message, as: UTF8.self)) }
        }
    }

    private final class Requests: Sendable {
        private let number = Atomic(0)
        func next() -> Int { number.wrappingAdd(1, ordering: .relaxed).oldValue }
    }
}
