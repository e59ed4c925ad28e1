internal import Core
internal import OCIRuntime

extension Engine {
    /// Joins the stdio of a running container; returns when its output has ended. Others may be attached as well.
    ///
    /// The end of `streams.input` ends the container's stdin only where its configuration says stdin_once.
    public func attach(_ id: String, streams: ProcessStreams) async throws {
        let (container, entry) = try running(id)
        if streams.input != nil, !container.config.stdin {
            throw BerthError(.failedPrecondition, "container \"\(container.id)\" was made without stdin")
        }
        let session = try await entry.monitor.attach(
            stdin: streams.input != nil, stdout: streams.output != nil,
            stderr: streams.error != nil && !container.config.terminal)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                while let output = try await session.next() {
                    switch output {
                    case .stdout(let bytes): try await streams.output?(bytes)
                    case .stderr(let bytes): try await streams.error?(bytes)
                    }
                }
                return true
            }
            if let input = streams.input {
                group.addTask {
                    while let bytes = try await input() { try await session.write(bytes) }
                    try await session.finishWriting()
                    return false
                }
            }
            if let sizes = streams.sizes, container.config.terminal {
                group.addTask {
                    while let size = try await sizes() {
                        try? await entry.monitor.resize(width: size.columns, height: size.rows)
                    }
                    return false
                }
            }
            defer { group.cancelAll() }
            var ended = false
            while !ended, let outputEnded = try await group.next() { ended = outputEnded }
        }
    }
}
