internal import Core
internal import Logging

/// Connections into one pod. Over SPDY each has two streams with one `requestID`: `error`, then `data`.
struct PortForwardSession: Sendable {
    /// For the second stream of a pair.
    static let pairTimeout = Duration.seconds(30)

    let sandbox: String
    let runtime: any StreamingRuntime
    let logger: Logger

    private struct Pair {
        var error: MultiplexedStream?
        var data: MultiplexedStream?
        var opened = ContinuousClock.now
    }

    func serve(_ connection: MultiplexedConnection) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            var pairs: [String: Pair] = [:]
            for await stream in connection.accepted {
                let id = stream.headers[StreamHeader.requestID] ?? Self.implied(stream)
                let stale = pairs.filter { $0.value.opened.duration(to: .now) > Self.pairTimeout }
                for (id, pair) in stale {
                    pairs[id] = nil
                    for stream in [pair.error, pair.data] { stream?.reset() }
                }
                var pair = pairs[id] ?? Pair()
                switch stream.headers[StreamHeader.type] {
                case "error": pair.error = stream
                case "data": pair.data = stream
                default:
                    stream.reset()
                    continue
                }
                guard let error = pair.error, let data = pair.data else {
                    pairs[id] = pair
                    continue
                }
                pairs[id] = nil
                group.addTask { await forward(data, error, connection) }
            }
            group.cancelAll()
        }
    }

    /// Clients of old have no ID: the data stream is the one after the error stream.
    private static func implied(_ stream: MultiplexedStream) -> String {
        "\(stream.headers[StreamHeader.type] == "data" ? stream.id &- 2 : stream.id)"
    }

    private func forward(_ data: MultiplexedStream, _ error: MultiplexedStream, _ connection: MultiplexedConnection)
        async
    {
        error.discard()
        do {
            let text = data.headers[StreamHeader.port] ?? ""
            guard let port = UInt16(text), port > 0 else {
                throw BerthError.invalid(field: "port", value: text, rule: "must be from 1 to 65535")
            }
            try await runtime.portForward(
                sandbox: sandbox, port: port, from: { try await data.read() }, to: { try await data.write($0) })
        } catch is CancellationError {
        } catch let failure {
            logger.info("port-forward failed", metadata: ["pod": "\(sandbox)", "error": "\(failure)"])
            try? await error.write(Array("\(failure)".utf8))
        }
        for stream in [data, error] {
            stream.end()
            stream.discard()
        }
        await drain(data)
        for stream in [data, error] { connection.forget(stream.id) }
    }

    /// The client's own end, so that nothing is kept of the stream then; whoever sends none is reset.
    private func drain(_ stream: MultiplexedStream) async {
        let patience = Task {
            try await Pause.wait(for: .seconds(10))
            stream.reset()
        }
        _ = try? await stream.read()
        patience.cancel()
    }

    /// WebSocket's channels: data of the first port, its errors, data of the second, and so on. Each begins with its port
    /// in two bytes, low byte first. There is one connection for each port.
    func serve(_ connection: MultiplexedConnection, channelsFor ports: [UInt16]) async throws {
        guard !ports.isEmpty else {
            throw BerthError(.invalidArgument, "port-forward over WebSocket channels needs the ports in the request")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, port) in ports.enumerated() {
                let data = connection.stream(UInt32(2 * index))
                let error = connection.stream(UInt32(2 * index + 1))
                let greeting = [UInt8(truncatingIfNeeded: port), UInt8(port >> 8)]
                try await data.write(greeting)
                try await error.write(greeting)
                error.discard()
                group.addTask {
                    do {
                        try await runtime.portForward(
                            sandbox: sandbox, port: port, from: { try await data.read() },
                            to: { try await data.write($0) })
                    } catch is CancellationError {
                    } catch let failure {
                        try? await error.write(Array("\(failure)".utf8))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
