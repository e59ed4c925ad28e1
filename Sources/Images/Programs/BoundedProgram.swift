internal import Core
private import Glibc
public import LinuxKernel
private import Synchronization
public import SystemPackage

/// A program of the administrator's (an image verifier, a credential helper): bytes in, bytes out, with bounds on time and output.
/// What it leaves running is killed with it.
public struct BoundedProgram: Sendable {
    public struct Output: Sendable {
        public let status: ExitStatus
        /// The first bytes of its standard output and of its standard error.
        public let output: [UInt8]
        public let errors: [UInt8]
        public let isTruncated: Bool
    }

    public let executable: FilePath
    public let timeout: Duration
    public var outputLimit = 64 << 10

    public init(_ executable: FilePath, timeout: Duration) {
        self.executable = executable
        self.timeout = timeout
    }

    /// Those of our environment variables that a program may know of, as it wants them.
    public static func environment(_ names: [String]) -> [String] {
        names.compactMap { (name: String) -> String? in
            guard let value = getenv(name) else { return nil }
            return "\(name)=\(String(cString: value))"
        }
    }

    /// - Throws: `BerthError`: `deadlineExceeded` after `timeout`, `failedPrecondition` where it cannot be started.
    ///   `CancellationError`, soon.
    public func run(arguments: [String], environment: [String], input: [UInt8]) async throws -> Output {
        let isCancelled = Cancellation()
        return try await withTaskCancellationHandler {
            try await BlockingWork.run {
                try attempt(arguments: arguments, environment: environment, input: input, isCancelled)
            }
        } onCancel: {
            isCancelled.flag.store(true, ordering: .relaxed)
        }
    }

    private final class Cancellation: Sendable {
        let flag = Atomic(false)
    }

    private func attempt(
        arguments: [String], environment: [String], input: [UInt8], _ isCancelled: Cancellation
    ) throws -> Output {
        let child: ChildProcess
        let outputRead: OwnedDescriptor
        let errorRead: OwnedDescriptor
        do {
            // A file in memory: no writer that a program could keep waiting or break with an early end.
            let inputFile = try Syscall.memfdCreate("berth-input")
            try Files.writeAll(inputFile.fd, input)
            try inputFile.fd.seek(offset: 0, from: .start)
            let (first, outputWrite) = try Syscall.pipe()
            let (second, errorWrite) = try Syscall.pipe()
            (outputRead, errorRead) = (first, second)
            for end in [outputRead, errorRead] { try Syscall.setNonBlocking(end.fd) }
            child = try Spawn.spawn(
                executable: executable, arguments: [executable.string] + arguments, environment: environment,
                descriptors: [(inputFile.fd, 0), (outputWrite.fd, 1), (errorWrite.fd, 2)], newSession: true)
            for end in [inputFile, outputWrite, errorWrite] { end.close() }
        } catch {
            throw BerthError(.failedPrecondition, "start \(executable)", cause: error)
        }
        defer {
            outputRead.close()
            errorRead.close()
        }
        var output = Collected(outputRead, limit: outputLimit)
        var errors = Collected(errorRead, limit: outputLimit)
        let deadline = ContinuousClock.now + timeout
        var hasEnded = false
        var isOverdue = false
        while !hasEnded, !isOverdue, !isCancelled.flag.load(ordering: .relaxed) {
            // A slice at a time, so that a cancellation is seen.
            let events = try? Syscall.poll(
                [(child.pidfd.fd, Int16(POLLIN))]
                    + [output, errors].filter(\.isOpen).map { ($0.pipe.fd, Int16(POLLIN)) },
                timeout: 100)
            output.take()
            errors.take()
            hasEnded = (events?.first ?? 0) != 0
            isOverdue = !hasEnded && ContinuousClock.now >= deadline
        }
        // The group is the child's until the child is reaped, so the number cannot be anybody else's yet.
        _ = Glibc.kill(-child.pid, SIGKILL)
        if !hasEnded { try? child.signal(SIGKILL) }
        output.take()
        errors.take()
        let status = try child.waitBlocking()
        guard !isOverdue else {
            throw BerthError(.deadlineExceeded, "\(executable) did not end within \(timeout) and was killed")
        }
        guard hasEnded else { throw CancellationError() }
        return Output(
            status: status, output: output.bytes, errors: errors.bytes,
            isTruncated: output.isTruncated || errors.isTruncated)
    }
}

/// The beginning of what comes out of a pipe; the rest is read and dropped, so that the writer can go on.
private struct Collected {
    let pipe: OwnedDescriptor
    let limit: Int
    var bytes: [UInt8] = []
    var isTruncated = false
    var isOpen = true

    init(_ pipe: OwnedDescriptor, limit: Int) {
        self.pipe = pipe
        self.limit = limit
    }

    /// Takes what is there now.
    mutating func take() {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        var count = 1
        // A writer that never stops must not hold the caller up: the next turn takes more.
        var turns = 0
        while isOpen, count > 0, turns < 64 {
            turns += 1
            count = buffer.withUnsafeMutableBytes { Glibc.read(pipe.fd.rawValue, $0.baseAddress, $0.count) }
            if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { isOpen = false }
            guard count > 0 else { return }
            let room = limit - bytes.count
            bytes += buffer[..<min(count, room)]
            if count > room { isTruncated = true }
        }
    }
}

extension ExitStatus {
    /// For messages: `exited with status 1`.
    public var ending: String {
        switch self {
        case .exited(let status): "exited with status \(status)"
        case .signalled(let signal): "was killed by signal \(signal)"
        }
    }
}
