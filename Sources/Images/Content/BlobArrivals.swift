public import Core
private import Synchronization

/// Blobs on their way into the content store, for readers that do not wait until they are whole.
///
///     waiting ──began──> arriving ──> whole
///        └──────── already here ───────┘
///
/// A failure is that of all of them: whoever waits for a blob that is not whole gets it.
public final class BlobArrivals: Sendable {
    private enum Stage {
        case arriving(IncomingBlob)
        case whole
    }

    private struct Waiter {
        let ticket: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var stages: [Digest: Stage] = [:]
        var failure: (any Error)?
        /// Counts changes, so that none is missed between looking and waiting.
        var version: UInt64 = 0
        var waiters: [Waiter] = []
        var nextTicket: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    // MARK: Told by who brings them

    public func began(_ digest: Digest, _ blob: IncomingBlob) {
        change { $0.stages[digest] = .arriving(blob) }
    }

    /// The blob is in the content store, verified.
    public func ended(_ digest: Digest) {
        change { $0.stages[digest] = .whole }
    }

    /// Nothing more comes. The first failure counts: what it cancels ends with errors of its own.
    public func failed(_ error: any Error) {
        change { state in
            if state.failure == nil || state.failure is CancellationError { state.failure = error }
        }
    }

    // MARK: Asked by who reads them

    /// The blob as soon as its first bytes can be read; `nil` if it is whole, to be opened in the content store.
    ///
    /// - Throws: what the transfer failed with.
    public func incoming(_ digest: Digest) async throws -> IncomingBlob? {
        try await first { state -> IncomingBlob?? in
            switch state.stages[digest] {
            case .whole: return .some(nil)
            case .arriving(let blob): return .some(blob)
            case nil: return nil
            }
        }
    }

    /// Waits until the blob is whole and verified.
    ///
    /// - Throws: what the transfer failed with.
    public func whole(_ digest: Digest) async throws {
        try await first { state -> Void? in
            if case .whole = state.stages[digest] { return () }
            return nil
        }
    }

    /// The first value that `pick` finds. - Throws: the failure, once there is one and still no value.
    private func first<Value>(_ pick: @Sendable (State) -> Value?) async throws -> Value {
        var (value, version) = try look(pick)
        while value == nil {
            try await changed(since: version)
            (value, version) = try look(pick)
        }
        guard let value else { throw CancellationError() }
        return value
    }

    private func look<Value>(_ pick: @Sendable (State) -> Value?) throws -> (Value?, UInt64) {
        try state.withLock { state in
            let value = pick(state)
            if value == nil, let failure = state.failure { throw failure }
            return (value, state.version)
        }
    }

    private func changed(since version: UInt64) async throws {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isDone = state.withLock { state in
                    if Task.isCancelled || state.version != version { return true }
                    state.waiters.append(Waiter(ticket: ticket, continuation: continuation))
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.ticket == ticket }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume()
        }
        try Task.checkCancellation()
    }

    private func change(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state in
            body(&state)
            state.version += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume() }
    }
}
