internal import Core
internal import Engine
internal import Streaming

/// The engine as what carries streaming requests out.
struct StreamRuntime: StreamingRuntime {
    let engine: Engine

    func exec(_ request: CommandRequest, command: [String], streams: CommandStreams) async throws -> Int32 {
        try await engine.exec(
            command, in: request.container, terminal: request.tty, streams: ProcessStreams(streams))
    }

    func attach(_ request: CommandRequest, streams: CommandStreams) async throws {
        try await engine.attach(request.container, streams: ProcessStreams(streams))
    }

    func portForward(
        sandbox: String, port: UInt16, from input: @escaping @Sendable () async throws -> [UInt8]?,
        to output: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        try await engine.portForward(port, in: sandbox, from: input, to: output)
    }
}

extension ProcessStreams {
    fileprivate init(_ streams: CommandStreams) {
        self.init(input: streams.stdin, output: streams.stdout, error: streams.stderr)
        if let sizes = streams.sizes {
            self.sizes = { try await sizes().map { (UInt32($0.columns), UInt32($0.rows)) } }
        }
    }
}
