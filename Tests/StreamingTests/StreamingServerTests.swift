import Core
import Logging
import Synchronization
import Testing

@testable import Streaming

/// Server and client over a real socket; what they run is scripted.
@Suite struct StreamingServerTests {
    private final class ScriptedRuntime: StreamingRuntime {
        let body: @Sendable ([String], CommandStreams) async throws -> Int32

        init(_ body: @escaping @Sendable ([String], CommandStreams) async throws -> Int32) { self.body = body }

        func exec(_ request: CommandRequest, command: [String], streams: CommandStreams) async throws -> Int32 {
            try await body(command, streams)
        }

        func attach(_ request: CommandRequest, streams: CommandStreams) async throws {
            _ = try await body(["attach"], streams)
        }

        func portForward(
            sandbox: String, port: UInt16, from input: @escaping @Sendable () async throws -> [UInt8]?,
            to output: @escaping @Sendable ([UInt8]) async throws -> Void
        ) async throws {
            throw BerthError(.unimplemented, "not here")
        }
    }

    private func with(
        _ script: @escaping @Sendable ([String], CommandStreams) async throws -> Int32,
        _ test: @Sendable (StreamingServer) async throws -> Void
    ) async throws {
        let server = try await StreamingServer.listen(
            address: "127.0.0.1", port: 0, runtime: ScriptedRuntime(script),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await server.run() }
            try await test(server)
            group.cancelAll()
        }
    }

    private func request(tty: Bool = false) -> StreamRequest {
        .exec(
            CommandRequest(container: "c", tty: tty, stdin: true, stdout: true, stderr: !tty), command: ["run"])
    }

    private final class Collected: Sendable {
        private let state = Mutex<[UInt8]>([])
        var bytes: [UInt8] { state.withLock { $0 } }
        func add(_ more: [UInt8]) { state.withLock { $0 += more } }
    }

    /// Something to count in from several tasks.
    private final class Counter: Sendable {
        private let number = Atomic(0)
        var value: Int { number.load(ordering: .relaxed) }
        /// - Returns: the value before.
        @discardableResult
        func add(_ count: Int) -> Int { number.wrappingAdd(count, ordering: .relaxed).oldValue }
    }

    private func once(_ text: String) -> @Sendable () async throws -> [UInt8]? {
        let left = Collected()
        left.add(Array(text.utf8))
        let taken = Counter()
        return { taken.add(1) > 0 || left.bytes.isEmpty ? nil : left.bytes }
    }

    @Test(arguments: StreamTransport.allCases)
    func stdinGoesThroughAndItsEndIsSeen(_ transport: StreamTransport) async throws {
        try await with({ _, streams in
            var count = 0
            while let bytes = try await streams.stdin?() {
                count += bytes.count
                try await streams.stdout?(bytes)
            }
            try await streams.stderr?(Array("end".utf8))
            return Int32(count)
        }) { server in
            let (output, errors) = (Collected(), Collected())
            let code = try await StreamingClient.run(
                url: server.url(for: request()), transport: transport, tty: false,
                streams: CommandStreams(
                    stdin: once("some text"), stdout: { output.add($0) }, stderr: { errors.add($0) }))
            #expect(code == 9)
            #expect(output.bytes == Array("some text".utf8))
            #expect(errors.bytes == Array("end".utf8))
        }
    }

    @Test(arguments: StreamTransport.allCases)
    func failureComesWithItsText(_ transport: StreamTransport) async throws {
        try await with({ _, _ in throw BerthError(.notFound, "no such program") }) { server in
            let error = await #expect(throws: BerthError.self) {
                try await StreamingClient.run(
                    url: server.url(for: request()), transport: transport, tty: false,
                    streams: CommandStreams(stdin: once(""), stdout: { _ in }, stderr: { _ in }))
            }
            #expect(error?.message == "no such program")
        }
    }

    @Test(arguments: StreamTransport.allCases)
    func sizesReachATerminal(_ transport: StreamTransport) async throws {
        try await with({ _, streams in
            let size = try await streams.sizes?()
            return Int32(size?.columns ?? 0) + Int32(size?.rows ?? 0)
        }) { server in
            let given = Counter()
            let code = try await StreamingClient.run(
                url: server.url(for: request(tty: true)), transport: transport, tty: true,
                streams: CommandStreams(
                    stdin: {
                        try await Task.sleep(for: .seconds(60))
                        return nil
                    }, stdout: { _ in },
                    sizes: {
                        given.add(1) > 0 ? nil : TerminalSize(columns: 100, rows: 30)
                    }))
            #expect(code == 130)
        }
    }

    /// A client that does not read holds the command up, after bounded buffers on both sides.
    @Test(arguments: StreamTransport.allCases)
    func slowReaderHoldsTheCommandUp(_ transport: StreamTransport) async throws {
        let size = 64 << 20
        let written = Counter()
        try await with({ _, streams in
            let chunk = [UInt8](repeating: 1, count: 64 << 10)
            for _ in 0..<(size / chunk.count) {
                try await streams.stdout?(chunk)
                written.add(chunk.count)
            }
            return 0
        }) { server in
            let (received, calls) = (Counter(), Counter())
            let gate = AsyncStream<Void>.makeStream()
            async let code = StreamingClient.run(
                url: server.url(for: request()), transport: transport, tty: false,
                streams: CommandStreams(
                    stdin: once(""),
                    stdout: { bytes in
                        received.add(bytes.count)
                        if calls.add(1) == 0 { for await _ in gate.stream { break } }
                    }, stderr: { _ in }))
            // Until it stands still.
            var last = -1
            while last != written.value || last == 0 {
                last = written.value
                try await Task.sleep(for: .milliseconds(300))
            }
            #expect(last < 24 << 20)
            gate.continuation.yield()
            #expect(try await code == 0)
            #expect(received.value == size)
        }
    }

    @Test func commandIsCancelledWhenItsClientGoesAway() async throws {
        let ended = AsyncStream<Void>.makeStream()
        try await with({ _, _ in
            defer { ended.continuation.yield() }
            try await Task.sleep(for: .seconds(60))
            return 0
        }) { server in
            let url = try server.url(for: request())
            let client = Task {
                try await StreamingClient.run(
                    url: url, transport: .spdy, tty: false,
                    streams: CommandStreams(
                        stdin: { throw CancellationError() }, stdout: { _ in }, stderr: { _ in }))
            }
            let begin = ContinuousClock.now
            for await _ in ended.stream { break }
            #expect(ContinuousClock.now - begin < .seconds(30))
            _ = try? await client.value
        }
    }

    /// Opening and resetting never comes to the bound of open streams, but what is kept of them must have one too.
    @Test func clientThatOpensStreamsWithoutEndIsCutOff() async throws {
        try await with({ _, streams in
            while try await streams.stdin?() != nil {}
            return 0
        }) { server in
            let target = try StreamURL(server.url(for: request()))
            let fields: [HTTPHead.Field] = [
                .init("Connection", "Upgrade"), .init("Upgrade", StreamHeader.spdy),
                .init(StreamHeader.protocolVersion, "v4.channel.k8s.io"),
            ]
            let opened = Counter()
            try? await StreamingClient.connect(target, method: "POST", fields) { _, _, inbound, outbound, early in
                let connection = MultiplexedConnection(SPDYFraming(isServer: false))
                try await connection.run(inbound, outbound, early: early, lingers: false) { connection in
                    for kind in [CommandStream.error, .stdin, .stdout, .stderr] {
                        _ = try await connection.open([StreamHeader.type: kind.rawValue])
                    }
                    for _ in 0..<10_000 {
                        let stream = try await connection.open([StreamHeader.type: "stdin"])
                        opened.add(1)
                        stream.reset()
                    }
                }
            }
            #expect(opened.value > 100)
            #expect(opened.value <= MultiplexedConnection.streamLimit)
        }
    }
}
