/// Counts the results of one probe of one container: a pure state machine.
///
///     undecided ──successThreshold successes in a row──▶ passing ──failureThreshold failures in a row──▶ failing
///         └──────failureThreshold failures in a row──────────────────────────────────────────────────────▶ ...
struct ProbeTracker: Equatable, Sendable {
    enum Kind: String, Sendable { case startup, liveness, readiness }
    enum Outcome: Equatable, Sendable { case success, failure(String) }
    enum State: Equatable, Sendable { case undecided, passing, failing(String) }

    let kind: Kind
    let successThreshold: Int32
    let failureThreshold: Int32
    private(set) var state: State = .undecided
    private var successes: Int32 = 0
    private var failures: Int32 = 0

    init(_ kind: Kind, _ probe: Probe) {
        self.kind = kind
        successThreshold = probe.successThreshold ?? 1
        failureThreshold = probe.failureThreshold ?? 3
    }

    /// - Returns: the new state where it has changed.
    mutating func record(_ outcome: Outcome) -> State? {
        let before = state
        switch outcome {
        case .success:
            failures = 0
            successes = min(successes + 1, successThreshold)
            if successes >= successThreshold { state = .passing }
        case .failure(let message):
            successes = 0
            failures = min(failures + 1, failureThreshold)
            if failures >= failureThreshold { state = .failing(message) }
        }
        return state == before ? nil : state
    }
}
