internal import Foundation

/// Exponential delay of one thing that keeps failing: the first try again is at once, then `base`, doubling to `limit`;
/// forgotten when the thing then lasted for twice `limit`.
struct BackOff: Equatable, Sendable {
    struct Timing: Equatable, Sendable {
        var base: TimeInterval = 10
        var limit: TimeInterval = 300
        var reset: TimeInterval { limit * 2 }
    }

    private(set) var delay: TimeInterval = 0
    private var updated: Date = .distantPast

    /// The earliest moment to try again after a failure at `event`.
    func notBefore(after event: Date, _ timing: Timing) -> Date {
        isExpired(at: event, timing) ? event : event + delay
    }

    /// Notes that a try is made at `now` after a failure at `event`.
    mutating func advance(after event: Date, now: Date, _ timing: Timing) {
        delay = delay == 0 || isExpired(at: event, timing) ? timing.base : min(delay * 2, timing.limit)
        updated = now
    }

    private func isExpired(at event: Date, _ timing: Timing) -> Bool {
        event.timeIntervalSince(updated) > timing.reset
    }
}
