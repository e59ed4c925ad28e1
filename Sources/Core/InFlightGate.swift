private import Synchronization

/// Keeps things from being deleted while an operation may rely on them without having a record of them yet: blobs during a
/// pull, addresses while a pod is connected.
///
/// An operation enters the gate; the deletion runs only while nobody is inside, and whoever comes meanwhile waits for the
/// short time that it takes.
public final class InFlightGate: Sendable {
    private struct State {
        var inside = 0
        var isDeleting = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        var whenIdle: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    public init() {}

    /// Runs `body` inside the gate.
    public func withOperation<Value>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Value
    ) async rethrows -> Value {
        await enter()
        defer { leave() }
        return try await body()
    }

    /// Runs `deletion` alone, or, if an operation is in flight, runs `later` when the last of them has left.
    public func deleteAlone(
        isolation: isolated (any Actor)? = #isolation, _ deletion: () async -> Void,
        later: @escaping @Sendable () -> Void
    ) async {
        let mayDelete = state.withLock { state in
            guard state.inside == 0, !state.isDeleting else {
                state.whenIdle = later
                return false
            }
            state.isDeleting = true
            return true
        }
        guard mayDelete else { return }
        await deletion()
        let waiting = state.withLock { state in
            state.isDeleting = false
            state.inside += state.waiting.count
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    private func enter(isolation: isolated (any Actor)? = #isolation) async {
        await withCheckedContinuation { continuation in
            let isInside = state.withLock { state in
                guard state.isDeleting else {
                    state.inside += 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isInside { continuation.resume() }
        }
    }

    private func leave() {
        let whenIdle = state.withLock { state in
            state.inside -= 1
            guard state.inside == 0 else { return nil as (@Sendable () -> Void)? }
            defer { state.whenIdle = nil }
            return state.whenIdle
        }
        whenIdle?()
    }
}
