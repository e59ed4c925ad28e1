internal import Core
internal import Glibc
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

extension Engine {
    /// - Throws: `BerthError` (`failedPrecondition`) where the container does not run.
    func running(_ id: String) throws -> (Container, LiveContainer) {
        let container = try container(id)
        guard container.state.isRunning, let entry = live[container.id] else {
            throw BerthError(
                .failedPrecondition, "container \"\(container.id)\" is \(container.state.name), not running")
        }
        return (container, entry)
    }

    /// The ID of a container that runs, for a stream that comes later.
    public func runningContainer(_ id: String) throws -> Container { try running(id).0 }

    /// Runs a command in a running container with its stdio elsewhere.
    ///
    /// Cancellation means that the far end is gone: stdin ends, output has no reader, and a terminal hangs up, as when an
    /// ssh connection breaks. What ignores all of that runs on.
    ///
    /// - Returns: the exit code. What the command left in the background does not keep the caller waiting.
    public func exec(
        _ command: [String], in id: String, terminal: Bool, streams: ProcessStreams
    ) async throws -> Int32 {
        let (container, entry) = try running(id)
        let plan = try execPlan(command, in: container, entry, terminal: terminal)
        return terminal
            ? try await execOnTerminal(plan, entry, streams) : try await execOnPipes(plan, entry, streams)
    }

    private func execOnPipes(
        _ plan: Berth_Launch_V1_Plan, _ entry: LiveContainer, _ streams: ProcessStreams
    ) async throws -> Int32 {
        let stdin = try streams.input.map { _ in try StreamPipe(ours: .write) }
        let stdout = try streams.output.map { _ in try StreamPipe(ours: .read) }
        let stderr = try streams.error.map { _ in try StreamPipe(ours: .read) }
        let pipes = [stdin, stdout, stderr].compactMap(\.self)
        defer { for pipe in pipes { pipe.close() } }
        let session = try await entry.monitor.exec(
            plan, stdin: stdin?.theirs.fd, stdout: stdout?.theirs.fd, stderr: stderr?.theirs.fd)
        for pipe in pipes { pipe.theirs.close() }
        var work: [@Sendable () async throws -> Void] = []
        if let stdin, let input = streams.input {
            work.append {
                defer { stdin.ours.close() }
                try await DescriptorPump.write(stdin.ours, from: input)
            }
        }
        if let stdout, let output = streams.output {
            work.append { try await DescriptorPump.read(stdout.ours, to: output) }
        }
        if let stderr, let error = streams.error {
            work.append { try await DescriptorPump.read(stderr.ours, to: error) }
        }
        return try await Self.exitCode(of: session, while: work)
    }

    private func execOnTerminal(
        _ plan: Berth_Launch_V1_Plan, _ entry: LiveContainer, _ streams: ProcessStreams
    ) async throws -> Int32 {
        let session = try await entry.monitor.exec(plan)
        guard let terminal = session.terminal else {
            throw BerthError(.internal, "the monitor gave no terminal for the command")
        }
        defer { terminal.close() }
        try Syscall.setNonBlocking(terminal.fd)
        // Without a reader of the client's: somebody has to read, or the command stops at the first full buffer.
        let output = streams.output ?? { _ in }
        var work: [@Sendable () async throws -> Void] = [{ try await DescriptorPump.read(terminal, to: output) }]
        if let input = streams.input {
            work.append {
                try await DescriptorPump.write(terminal, from: input)
                // A terminal has no end but the character for it.
                _ = Glibc.write(terminal.rawValue, [4], 1)
            }
        }
        if let sizes = streams.sizes {
            work.append {
                while let size = try await sizes() {
                    try? TerminalDevice.setWindowSize(terminal.fd, columns: size.columns, rows: size.rows)
                }
            }
        }
        return try await Self.exitCode(of: session, while: work)
    }

    private enum ExecEvent {
        case exited(Int32)
        case workEnded
    }

    /// Runs `work` beside the process, until it has exited and its output was handed over.
    private static func exitCode(
        of session: ExecSession, while work: [@Sendable () async throws -> Void]
    ) async throws -> Int32 {
        try await withThrowingTaskGroup(of: ExecEvent.self) { group in
            group.addTask { .exited(try await session.wait().code) }
            for item in work {
                group.addTask {
                    try await item()
                    return .workEnded
                }
            }
            var code: Int32?
            while code == nil, let event = try await group.next() {
                if case .exited(let exited) = event { code = exited }
            }
            // Everything that it wrote is in the pipes by now; readers take it when they are cancelled.
            group.cancelAll()
            // Whatever they say: the command is over.
            while await group.nextResult() != nil {}
            guard let code else { throw BerthError(.internal, "the command ended without an exit status") }
            return code
        }
    }
}

/// A pipe of which one end is ours, and does not block.
private final class StreamPipe: Sendable {
    enum End { case read, write }

    let ours: OwnedDescriptor
    let theirs: OwnedDescriptor

    init(ours end: End) throws {
        do {
            let pipe = try Syscall.pipe()
            (ours, theirs) = end == .read ? (pipe.read, pipe.write) : (pipe.write, pipe.read)
            try Syscall.setNonBlocking(ours.fd)
        } catch {
            throw BerthError(.resourceExhausted, "could not make a pipe", cause: error)
        }
    }

    func close() {
        ours.close()
        theirs.close()
    }
}
