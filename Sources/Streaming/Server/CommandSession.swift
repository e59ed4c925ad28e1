internal import Core

/// Exec or attach over the streams of one connection.
struct CommandSession: Sendable {
    /// For the client to open all its streams.
    static let openingTimeout = Duration.seconds(30)

    let command: CommandRequest
    let version: RemoteCommandProtocol
    let streams: [CommandStream: MultiplexedStream]

    /// Waits until the client has opened what the request asked for, the error stream, and that of sizes for a terminal.
    static func awaitStreams(
        _ connection: MultiplexedConnection, _ command: CommandRequest, _ version: RemoteCommandProtocol
    ) async throws -> [CommandStream: MultiplexedStream] {
        var wanted: Set<CommandStream> = [.error]
        if command.stdin { wanted.insert(.stdin) }
        if command.stdout { wanted.insert(.stdout) }
        if command.stderr { wanted.insert(.stderr) }
        if command.tty, version.canResize { wanted.insert(.resize) }
        let timeout = Task {
            try await Pause.wait(for: openingTimeout)
            connection.close()
        }
        defer { timeout.cancel() }
        var streams: [CommandStream: MultiplexedStream] = [:]
        for await stream in connection.accepted {
            let type = stream.headers[StreamHeader.type] ?? ""
            guard let kind = CommandStream(rawValue: type), streams[kind] == nil else {
                stream.reset()
                throw BerthError(.invalidArgument, "a stream of type \"\(type)\" is not expected")
            }
            if !wanted.contains(kind) { stream.discard() }
            streams[kind] = stream
            if wanted.isSubset(of: streams.keys) { return streams.filter { wanted.contains($0.key) } }
        }
        throw BerthError(
            .deadlineExceeded,
            "the client opened \(streams.keys.map(\.rawValue).sorted()), not \(wanted.map(\.rawValue).sorted())")
    }

    /// Over WebSocket all are there from the start.
    static func channels(
        of connection: MultiplexedConnection, _ command: CommandRequest
    ) -> [CommandStream: MultiplexedStream] {
        var wanted: [CommandStream] = [.error]
        if command.stdin { wanted.append(.stdin) }
        if command.stdout { wanted.append(.stdout) }
        if command.stderr { wanted.append(.stderr) }
        if command.tty { wanted.append(.resize) }
        for kind in CommandStream.allCases where !wanted.contains(kind) { connection.discard(kind.channel) }
        // An empty message tells the client that the connection works, before there is output.
        let first: CommandStream = command.stdout ? .stdout : command.stderr ? .stderr : .error
        connection.sendEmptyMessage(on: first.channel)
        return Dictionary(uniqueKeysWithValues: wanted.map { ($0, connection.stream($0.channel)) })
    }

    /// Runs `body` on the streams, and tells its outcome on the error stream.
    func run(_ body: (CommandStreams) async throws -> Int32) async {
        let outcome: Result<Int32, any Error>
        do {
            outcome = .success(try await body(commandStreams()))
        } catch {
            outcome = .failure(error)
        }
        for kind in [CommandStream.stdout, .stderr] { streams[kind]?.end() }
        let status = CommandStatus(outcome)
        try? await streams[.error]?.write(version.hasStatus ? status.json : status.text)
        streams[.error]?.end()
        for kind in [CommandStream.stdin, .resize] { streams[kind]?.end() }
    }

    private func commandStreams() -> CommandStreams {
        var result = CommandStreams()
        if let stdin = streams[.stdin] { result.stdin = { try await stdin.read() } }
        if let stdout = streams[.stdout] { result.stdout = { try await stdout.write($0) } }
        if let stderr = streams[.stderr] { result.stderr = { try await stderr.write($0) } }
        if let resize = streams[.resize] {
            let sizes = TerminalSizes(resize)
            result.sizes = { try await sizes.next() }
        }
        return result
    }
}

/// Sizes out of the resize stream.
private actor TerminalSizes {
    private let stream: MultiplexedStream
    private var parser = TerminalSizeParser()

    init(_ stream: MultiplexedStream) { self.stream = stream }

    func next() async throws -> TerminalSize? {
        while let bytes = try await stream.read() {
            if let size = try parser.receive(bytes) { return size }
        }
        return nil
    }
}
