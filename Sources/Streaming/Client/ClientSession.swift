internal import Core

/// The client's side of an exec or attach.
struct ClientSession: Sendable {
    /// Bytes of the error stream.
    private static let statusLimit = 64 << 10

    let version: RemoteCommandProtocol
    let streams: [CommandStream: MultiplexedStream]

    private enum Ended { case output, status([UInt8]), input }

    /// - Returns: the exit code.
    func run(_ local: CommandStreams) async throws -> Int32 {
        try await withThrowingTaskGroup(of: Ended.self) { group in
            var waitingFor = 0
            for (kind, sink) in [(CommandStream.stdout, local.stdout), (.stderr, local.stderr)] {
                guard let stream = streams[kind], let sink else { continue }
                waitingFor += 1
                group.addTask {
                    while let bytes = try await Self.next(stream) { try await sink(bytes) }
                    return .output
                }
            }
            if let error = streams[.error] {
                waitingFor += 1
                error.end()
                group.addTask {
                    var status: [UInt8] = []
                    while status.count < Self.statusLimit, let bytes = try await Self.next(error) { status += bytes }
                    return .status(status)
                }
            }
            if let stdin = streams[.stdin], let source = local.stdin {
                group.addTask {
                    while let bytes = try await source() { try await stdin.write(bytes) }
                    stdin.end()
                    return .input
                }
            }
            if let resize = streams[.resize], let sizes = local.sizes {
                group.addTask {
                    while let size = try await sizes() { try await resize.write(TerminalSizeParser.encode(size)) }
                    return .input
                }
            }
            var status: [UInt8] = []
            while waitingFor > 0, let ended = try await group.next() {
                switch ended {
                case .output: waitingFor -= 1
                case .status(let bytes):
                    waitingFor -= 1
                    status = bytes
                case .input: break
                }
            }
            group.cancelAll()
            return try exitCode(status)
        }
    }

    /// WebSocket's channels end with the connection; whether it broke is seen by the missing status.
    private static func next(_ stream: MultiplexedStream) async throws -> [UInt8]? {
        do {
            return try await stream.read()
        } catch let error as BerthError where error.code == .aborted {
            return nil
        }
    }

    private func exitCode(_ status: [UInt8]) throws -> Int32 {
        guard version.hasStatus else {
            guard status.isEmpty else { throw BerthError(.internal, String(decoding: status, as: UTF8.self)) }
            return 0
        }
        guard !status.isEmpty else {
            throw BerthError(.aborted, "the connection ended before the command did")
        }
        switch try CommandStatus(json: status) {
        case .success: return 0
        case .exitCode(let code): return code
        case .failure(let message): throw BerthError(.internal, message)
        }
    }
}
