internal import Glibc
internal import Synchronization

/// Waiting that leaves nothing behind where its task is cancelled.
///
/// The timer of `Task.sleep` stays until its time, with 1.5 KiB, also where its task has ended long before: as the limit of
/// what is mostly done in milliseconds, it would make each call cost that for as long as the limit is. One of Dispatch goes
/// at once, and wakes two threads for its coming and its going.
public enum Pause {
    /// - Throws: `CancellationError`, as soon as the task is cancelled.
    public static func wait(for duration: Duration) async throws {
        guard PauseThread.shared.isThere else { return try await Task.sleep(for: duration) }
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
        case waiting(UnsafeContinuation<Void, Never>)
        case ended
    }

    private static let count = Atomic<UInt64>(0)

    let id = count.add(1, ordering: .relaxed).newValue
    private let state = Mutex(State.new)

    func begin(_ duration: Duration, _ continuation: UnsafeContinuation<Void, Never>) {
        // First, so that whoever ends it takes it out again.
        PauseThread.shared.add(self, for: duration)
        let isWaiting = state.withLock { state in
            guard case .new = state else { return false }
            state = .waiting(continuation)
            return true
        }
        guard !isWaiting else { return }
        PauseThread.shared.remove(self)
        continuation.resume()
    }

    /// By time or by cancellation, whichever comes first.
    func end() {
        let continuation: UnsafeContinuation<Void, Never>? = state.withLock { state in
            defer { state = .ended }
            guard case .waiting(let continuation) = state else { return nil }
            return continuation
        }
        PauseThread.shared.remove(self)
        continuation?.resume()
    }
}

/// One thread of the process, that sleeps until the earliest pause ends.
private final class PauseThread: @unchecked Sendable {
    static let shared = PauseThread()

    /// Not where the process may have no more threads.
    private(set) var isThere = false

    private struct Due {
        /// Nanoseconds of `CLOCK_MONOTONIC`.
        var time: UInt64
        var pause: UInt64
    }

    // What follows is under the lock.
    private var pauses: [UInt64: PendingPause] = [:]
    /// By time. Those that were taken out are left in it until then, or until they are the most of it.
    private var order: [Due] = []
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let isEarlier = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    private init() {
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(isEarlier, &attributes)
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<PauseThread>.fromOpaque(argument).takeUnretainedValue().run() }
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        isThere = result == 0
        if isThere { pthread_detach(thread) }
    }

    func add(_ pause: PendingPause, for duration: Duration) {
        let due = Due(time: Self.now + Self.nanoseconds(duration), pause: pause.id)
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        pauses[due.pause] = pause
        // Limits are of few lengths: the newest mostly ends last, or nearly so.
        var index = order.count
        while index > 0, order[index - 1].time > due.time { index -= 1 }
        order.insert(due, at: index)
        if index == 0 { pthread_cond_signal(isEarlier) }
    }

    func remove(_ pause: PendingPause) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        pauses[pause.id] = nil
        if order.count > 2 * pauses.count + 64 { order.removeAll { pauses[$0.pause] == nil } }
    }

    private func run() {
        while true {
            for pause in takeDue() { pause.end() }
        }
    }

    /// Sleeps until the earliest may be due.
    private func takeDue() -> [PendingPause] {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if let next = order.first {
            var time = timespec(tv_sec: Int(next.time / 1_000_000_000), tv_nsec: Int(next.time % 1_000_000_000))
            if next.time > Self.now { pthread_cond_timedwait(isEarlier, lock, &time) }
        } else {
            pthread_cond_wait(isEarlier, lock)
        }
        let now = Self.now
        let due = order.prefix { $0.time <= now }
        order.removeFirst(due.count)
        return due.compactMap { pauses.removeValue(forKey: $0.pause) }
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// At most about 146 years.
    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(min(seconds, Int64.max / 2_000_000_000)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}
