internal import Synchronization

/// Bytes from one task to another. One reader; writers may wait until there is room again.
final class ByteQueue: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var end: Result<Void, any Error>?
        var reader: CheckedContinuation<Void, Never>?
        var waitingForRoom: [CheckedContinuation<Void, Never>] = []
        var isDiscarding = false
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: bytes over which `waitForRoom` waits.
    init(limit: Int) { self.limit = limit }

    /// Never waits; bytes after the end are dropped.
    ///
    /// - Returns: how many bytes were dropped since nobody wants them.
    @discardableResult
    func put(_ bytes: [UInt8]) -> Int {
        let (reader, dropped) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Int) in
            guard state.end == nil, !state.isDiscarding else { return (nil, bytes.count) }
            state.bytes += bytes
            return (state.reader.take(), 0)
        }
        reader?.resume()
        return dropped
    }

    /// What is there can still be taken. The first end counts.
    func finish(throwing error: (any Error)? = nil) {
        let waiting = state.withLock { state in
            if state.end == nil { state.end = error.map { .failure($0) } ?? .success(()) }
            defer { state.waitingForRoom = [] }
            return state.waitingForRoom + [state.reader.take()].compactMap(\.self)
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Nobody will take any more: what comes is dropped.
    func discard() {
        let waiting = state.withLock { state in
            state.isDiscarding = true
            state.bytes = []
            defer { state.waitingForRoom = [] }
            return state.waitingForRoom
        }
        for continuation in waiting { continuation.resume() }
    }

    /// All that is there; waits for the first byte.
    ///
    /// - Returns: `nil` at the end.
    /// - Throws: the error of `finish`, or `CancellationError` where the task is cancelled and nothing is there.
    func take() async throws -> [UInt8]? {
        var taken = try takeNow()
        while case .nothing = taken {
            try Task.checkCancellation()
            await waitForBytes()
            taken = try takeNow()
        }
        if case .bytes(let bytes) = taken { return bytes }
        return nil
    }

    private enum Taken {
        case bytes([UInt8])
        case nothing
        case end
    }

    private func takeNow() throws -> Taken {
        let (taken, waiting) = try state.withLock { state -> (Taken, [CheckedContinuation<Void, Never>]) in
            if state.bytes.isEmpty {
                guard let end = state.end else { return (.nothing, []) }
                try end.get()
                return (.end, [])
            }
            defer {
                state.bytes = []
                state.waitingForRoom = []
            }
            return (.bytes(state.bytes), state.waitingForRoom)
        }
        for continuation in waiting { continuation.resume() }
        return taken
    }

    private func waitForBytes() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state in
                    if Task.isCancelled || !state.bytes.isEmpty || state.end != nil { return true }
                    state.reader = continuation
                    return false
                }
                if ready { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.reader.take() }?.resume()
        }
    }

    /// Returns when less than the limit is there, or nobody is to take it. Not cancellable: whoever owns the queue ends it.
    func waitForRoom() async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                if state.bytes.count < limit || state.end != nil || state.isDiscarding { return true }
                state.waitingForRoom.append(continuation)
                return false
            }
            if ready { continuation.resume() }
        }
    }
}
