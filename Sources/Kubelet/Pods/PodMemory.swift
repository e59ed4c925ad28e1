internal import Foundation

/// What the agent knows of a pod beyond what the runtime can tell; lost when the agent restarts, and rebuilt.
struct PodMemory: Sendable {
    /// Why a container or the sandbox could not be brought up, and when to try again.
    struct Setback: Equatable, Sendable {
        var reason: String
        var message: String
        var retryAt: Date
    }

    /// What the probes of a running container say.
    struct Verdict: Equatable, Sendable {
        var started = false
        var ready = false
        /// Set when the liveness or startup probe has failed for good.
        var failure: Failure?
    }

    struct Failure: Equatable, Sendable {
        var reason: String
        /// Seconds, where the probe overrides the pod's.
        var gracePeriod: Int64?
    }

    /// Restarts, by container name.
    var restarts: [String: BackOff] = [:]
    /// Pulls and failing creates, by container name.
    var launches: [String: BackOff] = [:]
    var setbacks: [String: Setback] = [:]
    var sandboxLaunch = BackOff()
    var sandboxSetback: Setback?
    /// By container ID; a container has one from the moment its postStart hook has finished.
    var verdicts: [String: Verdict] = [:]
    /// Set when the pod is to go away: when its grace period ends.
    var terminationDeadline: Date?
}

/// One thing to do to the runtime.
enum PodAction: Equatable, Sendable {
    case createSandbox(attempt: UInt32)
    case stopSandbox(id: String)
    case removeSandbox(id: String)
    /// - Parameter previousEnd: when the instance before it ended; `nil` for the first start.
    case start(name: String, attempt: UInt32, sandbox: String, previousEnd: Date?)
    /// - Parameter grace: seconds.
    case stop(id: String, name: String, grace: Int64, reason: String)
    case remove(id: String)
}

struct PodDecision: Equatable, Sendable {
    /// In order; stops next to each other may run at the same time.
    var actions: [PodAction] = []
    /// When to look again even if nothing happens.
    var wakeAt: Date?
    /// Nothing of the pod is left in the runtime.
    var isGone = false
    /// Containers that wait for their next restart, by name.
    var backingOff: [String: Date] = [:]

    mutating func wake(at date: Date) { wakeAt = min(wakeAt ?? date, date) }
}
