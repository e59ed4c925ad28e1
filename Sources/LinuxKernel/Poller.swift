internal import CKernel
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Readiness of descriptors for tasks, by one epoll thread for the process.
///
/// A wait registers the descriptor once (`EPOLLONESHOT`) and takes it out when it ends. A cancelled wait throws
/// `CancellationError`. The descriptor must stay open while somebody waits.
public final class Poller: Sendable {
    public static let shared = Poller()

    private struct Waiter {
        let continuation: CheckedContinuation<Void, any Error>
        let descriptor: Int32
        /// Two waits on one descriptor: the second one waits on a duplicate, closed afterwards.
        let duplicate: Bool
    }

    private struct State {
        var waiters: [UInt64: Waiter] = [:]
        var nextToken: UInt64 = 1
        var cancelledEarly: Set<UInt64> = []
    }

    private let epoll: Int32
    private let state = Mutex(State())

    private init() {
        epoll = berth_epoll_create()
        if let thread = try? Thread.start({ [self] in run() }) { pthread_detach(thread) }
    }

    /// Returns when a read of `fd` would not block: data, end of file, hang-up or error.
    public func readable(_ fd: FileDescriptor) async throws {
        try await wait(fd, events: 0x001 | 0x2000)
    }

    /// Returns when a write to `fd` would not block.
    public func writable(_ fd: FileDescriptor) async throws {
        try await wait(fd, events: 0x004)
    }

    /// Returns when the process of `pidfd` has ended; it is not reaped.
    public func waitForExit(_ pidfd: FileDescriptor) async throws {
        try await wait(pidfd, events: 0x001)
    }

    private func wait(_ fd: FileDescriptor, events: UInt32) async throws {
        let token = state.withLock { state in
            defer { state.nextToken += 1 }
            return state.nextToken
        }
        defer { state.withLock { _ = $0.cancelledEarly.remove(token) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                register(token, fd.rawValue, events: events | 1 << 30, continuation)
            }
        } onCancel: {
            cancel(token)
        }
    }

    private func register(
        _ token: UInt64, _ descriptor: Int32, events: UInt32, _ continuation: CheckedContinuation<Void, any Error>
    ) {
        // The lock is held across epoll_ctl so that the event cannot arrive before the waiter is in the table.
        let failure: (any Error)? = state.withLock { state in
            if state.cancelledEarly.contains(token) { return CancellationError() }
            var registered = descriptor
            var result = berth_epoll_add(epoll, descriptor, events, token)
            if result == -EEXIST {
                registered = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
                result = registered < 0 ? -Glibc.errno : berth_epoll_add(epoll, registered, events, token)
                if result < 0, registered >= 0 { Glibc.close(registered) }
            }
            if result < 0 { return Errno(rawValue: -result) }
            state.waiters[token] = Waiter(
                continuation: continuation, descriptor: registered, duplicate: registered != descriptor)
            return nil
        }
        switch failure {
        case nil: break
        // A regular file or directory is always ready.
        case let error as Errno where error == .notPermitted: continuation.resume()
        case let error?: continuation.resume(throwing: error)
        }
    }

    private func cancel(_ token: UInt64) {
        let waiter = state.withLock { state -> Waiter? in
            guard let waiter = state.waiters.removeValue(forKey: token) else {
                // Not registered yet, or done; `wait` takes the mark away when it ends.
                state.cancelledEarly.insert(token)
                return nil
            }
            takeOut(waiter)
            return waiter
        }
        waiter?.continuation.resume(throwing: CancellationError())
    }

    private func takeOut(_ waiter: Waiter) {
        _ = berth_epoll_remove(epoll, waiter.descriptor)
        if waiter.duplicate { Glibc.close(waiter.descriptor) }
    }

    private func run() {
        var data = [UInt64](repeating: 0, count: 64)
        var events = [UInt32](repeating: 0, count: 64)
        while true {
            let count = berth_epoll_wait(epoll, &data, &events, 64, -1)
            if count == -EINTR { continue }
            guard count >= 0 else { return }
            let ready = state.withLock { state in
                data[..<Int(count)].compactMap { token -> Waiter? in
                    guard let waiter = state.waiters.removeValue(forKey: token) else { return nil }
                    takeOut(waiter)
                    return waiter
                }
            }
            for waiter in ready { waiter.continuation.resume() }
        }
    }
}
