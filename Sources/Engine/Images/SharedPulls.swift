private import Synchronization

/// Runs one operation per key at a time; whoever wants the same meanwhile gets its result.
///
/// The operation goes on as long as one of those who wait for it is still there; when the last one is cancelled, so is it.
final class SharedPulls: Sendable {
    private struct Running {
        let id: UInt64
        let task: Task<ImageStatus, any Error>
        var waiting: Int
    }

    private struct State {
        var running: [String: Running] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    func run(_ key: String, _ operation: @escaping @Sendable () async throws -> ImageStatus) async throws -> ImageStatus
    {
        let pull = state.withLock { state in
            if var present = state.running[key], !present.task.isCancelled {
                present.waiting += 1
                state.running[key] = present
                return present
            }
            state.next += 1
            let id = state.next
            let task = Task {
                defer { self.finish(key, id) }
                return try await operation()
            }
            let started = Running(id: id, task: task, waiting: 1)
            state.running[key] = started
            return started
        }
        return try await withTaskCancellationHandler {
            let result = await pull.task.result
            try Task.checkCancellation()
            return try result.get()
        } onCancel: {
            self.leave(key, pull.id)
        }
    }

    private func finish(_ key: String, _ id: UInt64) {
        state.withLock { state in
            if state.running[key]?.id == id { state.running[key] = nil }
        }
    }

    private func leave(_ key: String, _ id: UInt64) {
        let abandoned = state.withLock { state in
            guard var present = state.running[key], present.id == id else {
                return nil as Task<ImageStatus, any Error>?
            }
            present.waiting -= 1
            state.running[key] = present
            return present.waiting == 0 ? present.task : nil
        }
        abandoned?.cancel()
    }
}
