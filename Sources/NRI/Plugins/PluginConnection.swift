internal import Core
internal import Glibc
internal import LinuxKernel
internal import NRIAPI
internal import SwiftProtobuf
internal import Synchronization
internal import SystemPackage

/// The socket of one plugin: calls to it, and its calls.
final class PluginConnection: Sendable {
    typealias Handler = @Sendable (TTRPCRequest) async -> Result<[UInt8], TTRPCStatus>

    private static let service = "nri.pkg.api.v1alpha1.Plugin"
    private static let readSize = 64 << 10
    /// Calls of the plugin that are carried out at one time.
    static let requestLimit = 64

    private struct State {
        var session = PluginSession()
        var pending: [UInt32: PendingAnswer] = [:]
        var requests = 0
        var isClosed = false
    }

    /// The process at the other end, where it can be told.
    let peer: Int32?
    private let socket: OwnedDescriptor
    private let state = Mutex(State())
    private let writing = KeyedLock<Bool>()

    init(_ socket: OwnedDescriptor) throws {
        try Syscall.setNonBlocking(socket.fd)
        self.socket = socket
        peer = try? Syscall.peerCredentials(socket.fd).pid
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Every call under way fails, and `run` ends. The descriptor goes with this object: nobody may be left who waits on it.
    func close() {
        let pending = state.withLock { state in
            state.isClosed = true
            defer { state.pending = [:] }
            return state.pending.values
        }
        for answer in pending { answer.resolve(.failure(CallFailure.closed)) }
        shutdown(socket.rawValue, Int32(SHUT_RDWR))
    }

    // MARK: Calls to the plugin

    /// - Throws: `CallFailure`
    func call<Answer: Message>(
        _ method: String, _ request: some Message, timeout: Duration, as: Answer.Type = Answer.self
    ) async throws -> Answer {
        let bytes: [UInt8]
        do {
            let payload: [UInt8] = try request.serializedBytes()
            bytes = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                group.addTask { try await self.exchange(method, payload, timeout: timeout) }
                group.addTask {
                    try await Pause.wait(for: timeout)
                    throw CallFailure.timedOut(timeout)
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else { throw CallFailure.closed }
                return first
            }
        } catch let failure as CallFailure {
            throw failure
        } catch {
            throw CallFailure.closed
        }
        do { return try Answer(serializedBytes: bytes) } catch {
            throw CallFailure.unreadable("the answer to \(method) is not of its type")
        }
    }

    private func exchange(_ method: String, _ payload: [UInt8], timeout: Duration) async throws -> [UInt8] {
        let answer = PendingAnswer()
        // Numbers of streams have to arrive in their order, so they are given with the right to write.
        let stream = try await writing.withLock(true) { try await send(method, payload, timeout: timeout, answer) }
        defer { forget(stream) }
        return try await answer.value()
    }

    private func send(
        _ method: String, _ payload: [UInt8], timeout: Duration, _ answer: PendingAnswer
    ) async throws -> UInt32 {
        let call = try state.withLock { state throws(CallFailure) in
            if state.isClosed { throw .closed }
            let call = try state.session.call(Self.service, method, payload, timeout: timeout)
            state.pending[call.stream] = answer
            return call
        }
        do { try await write(call.bytes) } catch {
            forget(call.stream)
            throw error
        }
        return call.stream
    }

    private func forget(_ stream: UInt32) {
        state.withLock { state in
            state.pending[stream] = nil
            state.session.giveUp(stream)
        }
    }

    // MARK: What the plugin sends

    /// Reads until the connection ends, whoever ends it.
    ///
    /// - Returns: why it ended, where that was not simply the plugin's end.
    func run(_ handle: @escaping Handler) async -> String? {
        defer { close() }
        do {
            while let bytes = try await read() {
                for event in try events(bytes) { take(event, handle) }
            }
            return nil
        } catch is CancellationError {
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// - Returns: `nil` at the end.
    private func read() async throws -> [UInt8]? {
        while !isClosed {
            do {
                let bytes = try Syscall.receive(from: socket.fd, limit: Self.readSize, nonBlocking: true).bytes
                return bytes.isEmpty ? nil : bytes
            } catch {
                switch error {
                case .resourceTemporarilyUnavailable: break
                case .connectionReset: return nil
                default: throw error
                }
            }
            try await Poller.shared.readable(socket.fd)
        }
        return nil
    }

    private func events(_ bytes: [UInt8]) throws -> [PluginSession.Event] {
        try state.withLock { state throws(ProtocolViolation) in try state.session.receive(bytes) }
    }

    private func take(_ event: PluginSession.Event, _ handle: @escaping Handler) {
        switch event {
        case .answer(let stream, let result):
            let answer = state.withLock { $0.pending.removeValue(forKey: stream) }
            answer?.resolve(result.mapError { $0 })
        case .refused(let stream, let status): reply(on: stream) { .failure(status) }
        case .request(let stream, let request): reply(on: stream) { await handle(request) }
        }
    }

    /// Beside the reading: what the plugin asks for may have to wait for its own answers.
    private func reply(on stream: UInt32, _ work: @escaping @Sendable () async -> Result<[UInt8], TTRPCStatus>) {
        let hasRoom = state.withLock { state in
            state.requests += 1
            return state.requests <= Self.requestLimit
        }
        Task {
            let result =
                hasRoom
                ? await work()
                : .failure(.of(.resourceExhausted, "more than \(Self.requestLimit) calls at one time"))
            try? await writing.withLock(true) { try await write(PluginSession.answer(stream, result)) }
            state.withLock { $0.requests -= 1 }
        }
        // One that goes on without waiting for its answers only fills the memory.
        if state.withLock({ $0.requests > 2 * Self.requestLimit }) { close() }
    }

    private func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            if isClosed { throw CallFailure.closed }
            do {
                let count = try Syscall.send(Array(rest), to: socket.fd, nonBlocking: true)
                rest = rest.dropFirst(count)
            } catch Errno.resourceTemporarilyUnavailable {
                try await Poller.shared.writable(socket.fd)
            } catch {
                throw CallFailure.closed
            }
        }
    }
}

/// An answer that may come before or after somebody waits for it.
private final class PendingAnswer: Sendable {
    private enum State {
        case nothing
        case waiting(CheckedContinuation<[UInt8], any Error>)
        case resolved(Result<[UInt8], any Error>)
    }

    private let state = Mutex(State.nothing)

    /// The first one counts.
    func resolve(_ result: Result<[UInt8], any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<[UInt8], any Error>? in
            switch state {
            case .nothing: state = .resolved(result)
            case .waiting(let continuation):
                state = .resolved(result)
                return continuation
            case .resolved: break
            }
            return nil
        }
        waiter?.resume(with: result)
    }

    func value() async throws -> [UInt8] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let known = state.withLock { state -> Result<[UInt8], any Error>? in
                    if case .resolved(let result) = state { return result }
                    state = .waiting(continuation)
                    return nil
                }
                if let known { continuation.resume(with: known) }
            }
        } onCancel: {
            resolve(.failure(CancellationError()))
        }
    }
}
