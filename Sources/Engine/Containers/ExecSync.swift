internal import Core
internal import Glibc
internal import LinuxKernel
internal import OCIRuntime
internal import Synchronization
internal import SystemPackage

/// What a command in a container answered.
public struct ExecResult: Sendable, Equatable {
    public var stdout: [UInt8]
    public var stderr: [UInt8]
    public var exitCode: Int32
}

extension Engine {
    /// stdout and stderr together; what clients take in one message.
    public static let execOutputLimit = (16 << 20) - (64 << 10)

    /// Runs a command in a running container and waits for its end.
    ///
    /// - Parameter timeout: after it the command is killed with everything that it started; `nil` for none.
    /// - Throws: `BerthError`: `deadlineExceeded` after `timeout`, `resourceExhausted` for more output than
    ///   `execOutputLimit`.
    public func execSync(_ command: [String], in id: String, timeout: Duration? = nil) async throws -> ExecResult {
        let (container, entry) = try running(id)
        // Only what may have to be killed needs it.
        let own = timeout == nil ? nil : commandCgroup(below: container)
        defer { own?.remove() }
        let plan = try execPlan(command, in: container, entry, cgroup: own)
        let output = try ExecOutput(limit: Self.execOutputLimit)
        let session = try await entry.monitor.exec(
            plan, stdout: output.stdout.writer.fd, stderr: output.stderr.writer.fd, killOnClose: true)
        output.closeWriters()
        try Failpoint.reach("exec.started")
        return try await withThrowingTaskGroup(of: ExecStep.self) { group in
            group.addTask { .ended(try await session.wait().code) }
            group.addTask {
                try await output.collect()
                return .outputEnded
            }
            if let timeout {
                group.addTask {
                    try await Pause.wait(for: timeout)
                    return .timedOut
                }
            }
            defer { group.cancelAll() }
            do {
                while let step = try await group.next() {
                    switch step {
                    case .outputEnded: continue
                    case .timedOut:
                        throw BerthError(
                            .deadlineExceeded,
                            "command \"\(command[0])\" in container \"\(container.id)\" timed out after \(timeout ?? .zero)"
                        )
                    case .ended(let code):
                        // Everything that it wrote is in the pipes by now; what it left running in the background does
                        // not keep the caller waiting.
                        group.cancelAll()
                        // The reader may have a piece in hand still, whatever else ended with an error before it.
                        while !group.isEmpty { _ = try? await group.next() }
                        let (stdout, stderr) = try output.finish()
                        return ExecResult(stdout: stdout, stderr: stderr, exitCode: code)
                    }
                }
                throw BerthError(.internal, "command \"\(command[0])\" ended without an exit status")
            } catch {
                own?.kill()
                ProcessTree.kill(session.pid)
                throw error
            }
        }
    }

    private func commandCgroup(below container: Container) -> CommandCgroup? {
        let cgroup = Cgroup(host: facts.cgroups, path: container.cgroup)
        guard let program = program(of: container) else { return CommandCgroup(below: cgroup) }
        return program.commandCgroup(below: cgroup, isUnified: facts.cgroups.layout == .unified)
    }

    private enum ExecStep {
        case ended(Int32)
        case outputEnded
        case timedOut
    }
}

/// The two pipes of a command, read up to a bound.
private final class ExecOutput: Sendable {
    struct Pipe: Sendable {
        let reader: OwnedDescriptor
        let writer: OwnedDescriptor

        init() throws {
            do {
                (reader, writer) = try Syscall.pipe()
            } catch {
                throw BerthError(.resourceExhausted, "could not make a pipe", cause: error)
            }
            // Only our end: the command's must block.
            _ = fcntl(reader.rawValue, F_SETFL, O_NONBLOCK)
        }
    }

    private struct Collected {
        var stdout: [UInt8] = []
        var stderr: [UInt8] = []
    }

    let stdout: Pipe
    let stderr: Pipe
    private let limit: Int
    private let collected = Mutex(Collected())

    init(limit: Int) throws {
        self.limit = limit
        stdout = try Pipe()
        stderr = try Pipe()
    }

    func closeWriters() {
        stdout.writer.close()
        stderr.writer.close()
    }

    /// Until both pipes have ended.
    func collect() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (pipe, isError) in [(stdout, false), (stderr, true)] {
                group.addTask {
                    while try self.drain(pipe, isError: isError) { try await Poller.shared.readable(pipe.reader.fd) }
                }
            }
            // Not `waitForAll`, which waits for the other pipe before it throws.
            while try await group.next() != nil {}
        }
    }

    /// What is in the pipes at this moment, and all before.
    func finish() throws -> (stdout: [UInt8], stderr: [UInt8]) {
        _ = try drain(stdout, isError: false)
        _ = try drain(stderr, isError: true)
        return collected.withLock { ($0.stdout, $0.stderr) }
    }

    /// - Returns: whether more may come.
    private func drain(_ pipe: Pipe, isError: Bool) throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        while true {
            let count = read(pipe.reader.rawValue, &buffer, buffer.count)
            if count == 0 { return false }
            if count < 0 {
                switch errno {
                case EAGAIN: return true
                case EINTR: continue
                default:
                    throw BerthError(.internal, "could not read the command's output", cause: Errno(rawValue: errno))
                }
            }
            try collected.withLock { collected in
                if isError {
                    collected.stderr += buffer[..<count]
                } else {
                    collected.stdout += buffer[..<count]
                }
                guard collected.stdout.count + collected.stderr.count <= limit else {
                    throw BerthError(
                        .resourceExhausted, "the command wrote more than \(limit) bytes",
                        advice: "use a streaming exec, or write less")
                }
            }
        }
    }
}
