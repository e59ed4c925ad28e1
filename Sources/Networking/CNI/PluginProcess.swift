internal import Core
private import Glibc
internal import LinuxKernel
private import Synchronization
internal import SystemPackage

/// Runs a plugin: JSON in, JSON out, with bounds on time and output. What it leaves running is killed with it.
struct PluginProcess: Sendable {
    struct Output: Sendable {
        var status: ExitStatus
        var output: [UInt8]
        /// The last part of what it wrote to standard error.
        var errors: String
    }

    let hostNamespace: FilePath?
    let timeout: Duration
    var outputLimit = 1 << 20
    var errorLimit = 16 << 10

    /// - Parameter limit: `nil` for `timeout`.
    /// - Throws: `BerthError`: `deadlineExceeded` after it, `resourceExhausted` for more output than `outputLimit`.
    func run(
        _ executable: FilePath, environment: [String], input: [UInt8], within limit: Duration? = nil
    ) async throws -> Output {
        // A file in memory: no writer that a plugin could keep waiting or break with an early end.
        let inputFile = try Syscall.memfdCreate("cni-input")
        try Files.writeAll(inputFile.fd, input)
        try inputFile.fd.seek(offset: 0, from: .start)
        let (outputRead, outputWrite) = try Syscall.pipe()
        let (errorRead, errorWrite) = try Syscall.pipe()
        for end in [outputRead, errorRead] { try Syscall.setNonBlocking(end.fd) }
        let child = try await spawn(
            executable, environment,
            [(inputFile.fd, 0), (outputWrite.fd, 1), (errorWrite.fd, 2)])
        for end in [inputFile, outputWrite, errorWrite] { end.close() }

        let output = BoundedOutput(limit: outputLimit, keepsLast: false)
        let errors = BoundedOutput(limit: errorLimit, keepsLast: true)
        let pid = child.pid
        let name = executable.lastComponent?.string ?? executable.string
        let limit = limit ?? timeout
        let outcome = await withTaskGroup(of: Ending?.self, returning: Ending.self) { group in
            group.addTask { await output.fill(from: outputRead) ? nil : .tooMuchOutput }
            group.addTask {
                _ = await errors.fill(from: errorRead)
                return nil
            }
            group.addTask {
                do {
                    try await Poller.shared.waitForExit(child.pidfd.fd)
                    return .exited
                } catch { return nil }
            }
            group.addTask {
                do {
                    try await Pause.wait(for: limit)
                    return .timedOut
                } catch { return nil }
            }
            var ending = Ending.cancelled
            while let next = await group.next() {
                if Task.isCancelled { break }
                if let next {
                    ending = next
                    break
                }
            }
            group.cancelAll()
            return ending
        }
        // The group is the child's until the child is reaped, so the number cannot be anybody else's yet.
        _ = Glibc.kill(-pid, SIGKILL)
        if outcome != .exited { try? child.signal(SIGKILL) }
        output.drain(outputRead)
        errors.drain(errorRead)
        let status = try await Task { try await child.wait() }.value
        switch outcome {
        case .exited:
            guard !output.isOverflown else { throw tooMuch(name) }
            return Output(status: status, output: output.bytes, errors: errors.text)
        case .tooMuchOutput: throw tooMuch(name)
        case .timedOut:
            throw BerthError(
                .deadlineExceeded, "cni plugin \(name) did not end within \(limit) and was killed\(errors.suffix)")
        case .cancelled: throw CancellationError()
        }
    }

    private enum Ending { case exited, timedOut, tooMuchOutput, cancelled }

    private func tooMuch(_ name: String) -> BerthError {
        BerthError(.resourceExhausted, "cni plugin \(name) wrote more than \(outputLimit) bytes")
    }

    /// The child is in the namespace of the thread that spawns it.
    private func spawn(
        _ executable: FilePath, _ environment: [String], _ descriptors: [(FileDescriptor, Int32)]
    ) async throws -> ChildProcess {
        let arguments = [executable.string]
        guard let hostNamespace else {
            return try Spawn.spawn(
                executable: executable, arguments: arguments, environment: environment, descriptors: descriptors,
                newSession: true)
        }
        let namespace = try Syscall.open(hostNamespace, [.readOnly])
        return try await NamespaceThread.run(in: namespace.fd, type: .network) {
            defer { withExtendedLifetime(namespace) {} }
            return try Spawn.spawn(
                executable: executable, arguments: arguments, environment: environment, descriptors: descriptors,
                newSession: true)
        }
    }
}

/// What a process wrote, up to a limit: the first bytes, or the last ones.
private final class BoundedOutput: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isOverflown = false
    }

    private let limit: Int
    private let keepsLast: Bool
    private let state = Mutex(State())

    init(limit: Int, keepsLast: Bool) {
        self.limit = limit
        self.keepsLast = keepsLast
    }

    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var isOverflown: Bool { state.withLock { $0.isOverflown } }
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// For the end of an error message.
    var suffix: String {
        let line = text.split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
        return line.isEmpty ? "" : "; it said: \(line)"
    }

    /// - Returns: whether the end came before the limit.
    func fill(from pipe: OwnedDescriptor) async -> Bool {
        while true {
            switch step(pipe) {
            case .some(true): continue
            case .some(false): return !isOverflown
            case nil: guard (try? await Poller.shared.readable(pipe.fd)) != nil else { return true }
            }
        }
    }

    /// Takes what is there now.
    func drain(_ pipe: OwnedDescriptor) {
        while step(pipe) == true {}
    }

    /// - Returns: `nil` where a read would block, false at the end or beyond the limit.
    private func step(_ pipe: OwnedDescriptor) -> Bool? {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        do {
            let count = try buffer.withUnsafeMutableBytes { try pipe.fd.read(into: $0) }
            guard count > 0 else { return false }
            return state.withLock { state in
                state.bytes += buffer[..<count]
                guard state.bytes.count > limit else { return true }
                if keepsLast {
                    state.bytes.removeFirst(state.bytes.count - limit)
                    return true
                }
                state.isOverflown = true
                return false
            }
        } catch Errno.wouldBlock {
            return nil
        } catch {
            return false
        }
    }
}
