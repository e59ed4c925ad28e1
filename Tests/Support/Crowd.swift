private import Synchronization

/// Counts who is somewhere at the same time.
public final class Crowd: Sendable {
    private let state = Mutex((now: 0, most: 0, all: 0))

    public init() {}

    public func enter() {
        state.withLock {
            $0.now += 1
            $0.all += 1
            $0.most = max($0.most, $0.now)
        }
    }

    public func leave() { state.withLock { $0.now -= 1 } }

    /// The most at one time.
    public var most: Int { state.withLock { $0.most } }

    /// All that ever came.
    public var all: Int { state.withLock { $0.all } }
}
