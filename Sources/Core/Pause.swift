internal import Dispatch
internal import Synchronization

/// Waiting that leaves nothing behind where its task is cancelled.
///
/// The timer of `Task.sleep` stays until its time, with 1.5 KiB, also where its task has ended long before: as the limit of
/// what is mostly done in milliseconds, it would make each call cost that for as long as the limit is.
public enum Pause {
    /// - Throws: `CancellationError`, as soon as the task is cancelled.
    public static func wait(for duration: Duration) async throws {
        let pending = PendingPause()
        await withTaskCancellationHandler {
            await withUnsafeContinuation { pending.begin(duration, $0) }
        } onCancel: {
            pending.end()
        }
        try Task.checkCancellation()
    }
}

private final class PendingPause: Sendable {
    private enum State {
        case new
        case waiting(any DispatchSourceTimer, UnsafeContinuation<Void, Never>)
        case ended
    }

    private let state = Mutex(State.new)

    func begin(_ duration: Duration, _ continuation: UnsafeContinuation<Void, Never>) {
        let isWaiting = state.withLock { state in
            guard case .new = state else { return false }
            let timer = DispatchSource.makeTimerSource()
            timer.setEventHandler { self.end() }
            timer.schedule(deadline: .now() + Self.interval(duration))
            state = .waiting(timer, continuation)
            timer.activate()
            return true
        }
        if !isWaiting { continuation.resume() }
    }

    /// By the timer or by cancellation, whichever comes first.
    func end() {
        let continuation: UnsafeContinuation<Void, Never>? = state.withLock { state in
            defer { state = .ended }
            guard case .waiting(let timer, let continuation) = state else { return nil }
            timer.cancel()
            return continuation
        }
        continuation?.resume()
    }

    private static func interval(_ duration: Duration) -> DispatchTimeInterval {
        let (seconds, attoseconds) = duration.components
        let (nanoseconds, isTooLong) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return isTooLong || nanoseconds > Int64.max / 2
            ? .never : .nanoseconds(Int(nanoseconds + attoseconds / 1_000_000_000))
    }
}
