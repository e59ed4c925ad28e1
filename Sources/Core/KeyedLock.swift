/// Serialises operations on the same key (one at a time per pod or container), in order of arrival, across `await`.
///
/// Operations on different keys do not wait for each other. A waiting task that is cancelled leaves the queue and
/// throws `CancellationError`.
public struct KeyedLock<Key: Hashable & Sendable>: Sendable {
    private let queues = KeyedQueues<Key>()

    public init() {}

    /// Runs `body` while holding `key`.
    ///
    /// Not reentrant: taking the same key inside `body` waits for ever.
    public func withLock<Result>(
        _ key: Key, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async throws -> Result {
        try await queues.acquire(key)
        do {
            let result = try await body()
            await queues.release(key)
            return result
        } catch {
            await queues.release(key)
            throw error
        }
    }
}

private actor KeyedQueues<Key: Hashable & Sendable> {
    private struct Waiter {
        let ticket: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    /// Held keys, each with who waits for it; a key that nobody holds is absent.
    private var queues: [Key: [Waiter]] = [:]
    private var nextTicket: UInt64 = 0

    func acquire(_ key: Key) async throws {
        try Task.checkCancellation()
        guard queues[key] != nil else {
            queues[key] = []
            return
        }
        let ticket = nextTicket
        nextTicket += 1
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    queues[key]?.append(Waiter(ticket: ticket, continuation: continuation))
                }
            }
        } onCancel: {
            Task { await self.cancel(ticket, of: key) }
        }
    }

    func release(_ key: Key) {
        guard var queue = queues[key] else { return }
        if queue.isEmpty {
            queues[key] = nil
        } else {
            let next = queue.removeFirst()
            queues[key] = queue
            next.continuation.resume()
        }
    }

    private func cancel(_ ticket: UInt64, of key: Key) {
        guard let index = queues[key]?.firstIndex(where: { $0.ticket == ticket }) else { return }
        queues[key]?.remove(at: index).continuation.resume(throwing: CancellationError())
    }
}
