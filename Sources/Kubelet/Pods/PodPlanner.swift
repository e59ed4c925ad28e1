internal import Foundation

/// Decides what comes next for a pod: a pure function of its manifest, what the runtime has, what the agent remembers,
/// and the time.
///
///     no sandbox ──createSandbox──▶ init containers, in order ──▶ app containers ──▶ all ended, none to restart
///         ▲                          (sidecars stay running)         │  ▲               │
///         └── sandbox not ready: stop what is left ◀─────────────────┘  └ restart       └▶ sidecars, sandbox stopped
///
///     terminating, from any state: app containers ▶ sidecars, last first ▶ sandbox stopped ▶ removed ▶ gone
struct PodPlanner {
    let pod: Pod
    let observed: PodObservation
    let memory: PodMemory
    let now: Date
    let timing: BackOff.Timing

    /// Seconds that a container gets at the least, as in Kubernetes' kubelet.
    static let minimumGrace: Int64 = 2

    private var decision = PodDecision()

    init(pod: Pod, observed: PodObservation, memory: PodMemory, now: Date, timing: BackOff.Timing) {
        (self.pod, self.observed, self.memory, self.now, self.timing) = (pod, observed, memory, now, timing)
    }

    static func decide(
        _ pod: Pod, _ observed: PodObservation, _ memory: PodMemory, now: Date, timing: BackOff.Timing
    ) -> PodDecision {
        var planner = PodPlanner(pod: pod, observed: observed, memory: memory, now: now, timing: timing)
        planner.plan()
        return planner.decision
    }

    private mutating func plan() {
        if let deadline = memory.terminationDeadline { return terminate(by: deadline) }
        if isFinished { return windDown() }
        guard let sandbox = observed.latestSandbox, sandbox.isReady else { return replaceSandbox() }
        stopStrays(besides: sandbox.id)
        stopFailed(in: sandbox.id)
        if decision.actions.isEmpty {
            if startInitContainers(in: sandbox.id) { startAppContainers(in: sandbox.id) }
        }
        collectGarbage(keeping: sandbox.id)
    }

    // MARK: End of the pod

    private mutating func terminate(by deadline: Date) {
        let grace = max(Int64(deadline.timeIntervalSince(now).rounded(.up)), 0)
        let running = observed.containers.filter { $0.state == .running || $0.state == .unknown }
        let sidecars = pod.initContainers.filter(\.isSidecar).map(\.name)
        let main = running.filter { !sidecars.contains($0.name) }
        if !main.isEmpty {
            decision.actions = main.map { .stop(id: $0.id, name: $0.name, grace: grace, reason: "Killing") }
            return
        }
        if let last = sidecars.last(where: { name in running.contains { $0.name == name } }) {
            let grace = max(grace, Self.minimumGrace)
            decision.actions = running.filter { $0.name == last }.map {
                .stop(id: $0.id, name: $0.name, grace: grace, reason: "Killing")
            }
            return
        }
        decision.isGone = observed.isEmpty
        decision.actions = observed.sandboxes.map { .stopSandbox(id: $0.id) }
        decision.actions += observed.containers.map { .remove(id: $0.id) }
        decision.actions += observed.sandboxes.map { .removeSandbox(id: $0.id) }
    }

    /// Whether every app container has ended for good, or an init container has failed for good.
    var isFinished: Bool {
        if initHasFailed { return true }
        return pod.spec.containers.allSatisfy { container in
            guard let latest = observed.latest(container.name), latest.state == .exited else { return false }
            return !restarts(after: latest.exitCode)
        }
    }

    private var initHasFailed: Bool {
        guard pod.restartPolicy == .never else { return false }
        return pod.initContainers.contains { container in
            guard !container.isSidecar, let latest = observed.latest(container.name) else { return false }
            return latest.state == .exited && latest.exitCode != 0
        }
    }

    private func restarts(after exitCode: Int32) -> Bool {
        switch pod.restartPolicy {
        case .always: true
        case .onFailure: exitCode != 0
        case .never: false
        }
    }

    /// Stops what outlives a finished pod; its ended containers stay for their status and logs.
    private mutating func windDown() {
        let names = pod.initContainers.reversed().map(\.name) + pod.spec.containers.map(\.name)
        for name in names {
            let running = observed.containers.filter { $0.name == name && [.running, .unknown].contains($0.state) }
            guard !running.isEmpty else { continue }
            decision.actions = running.map {
                .stop(id: $0.id, name: name, grace: pod.gracePeriod, reason: "PodCompleted")
            }
            return
        }
        decision.actions = observed.sandboxes.filter(\.isReady).map { .stopSandbox(id: $0.id) }
    }

    // MARK: Sandbox

    private mutating func replaceSandbox() {
        let left = observed.containers.filter { $0.state == .running }
        decision.actions = left.map {
            .stop(id: $0.id, name: $0.name, grace: pod.gracePeriod, reason: "SandboxChanged")
        }
        if let setback = memory.sandboxSetback, setback.retryAt > now {
            decision.wake(at: setback.retryAt)
            return
        }
        decision.actions += observed.sandboxes.prefix(1).map { .stopSandbox(id: $0.id) }
        let attempt = observed.sandboxes.map(\.attempt).max().map { $0 + 1 } ?? 0
        decision.actions.append(.createSandbox(attempt: attempt))
    }

    /// Running containers of older sandboxes, and all but the newest of one name.
    private mutating func stopStrays(besides sandbox: String) {
        for container in observed.containers where container.state == .running {
            let isNewest = observed.latest(container.name, in: sandbox)?.id == container.id
            if container.sandboxID != sandbox || !isNewest || pod.container(named: container.name) == nil {
                decision.actions.append(
                    .stop(id: container.id, name: container.name, grace: pod.gracePeriod, reason: "SandboxChanged"))
            }
        }
        for old in observed.sandboxes.dropFirst() where old.isReady {
            decision.actions.append(.stopSandbox(id: old.id))
        }
    }

    /// Running containers whose probes or hooks have failed, and those in a state that the runtime does not know.
    private mutating func stopFailed(in sandbox: String) {
        for container in observed.containers where container.sandboxID == sandbox {
            if container.state == .unknown {
                decision.actions.append(
                    .stop(id: container.id, name: container.name, grace: pod.gracePeriod, reason: "ContainerUnknown"))
            } else if container.state == .running, let failure = memory.verdicts[container.id]?.failure {
                decision.actions.append(
                    .stop(
                        id: container.id, name: container.name, grace: failure.gracePeriod ?? pod.gracePeriod,
                        reason: failure.reason))
            }
        }
    }

    // MARK: Containers

    /// - Returns: whether the app containers may run.
    private mutating func startInitContainers(in sandbox: String) -> Bool {
        let containers = pod.initContainers
        let appHasRun = pod.spec.containers.contains { observed.latest($0.name, in: sandbox) != nil }
        // What came before the last one that ever started has done its part; only sidecars among it run on.
        let reached = containers.lastIndex { observed.latest($0.name, in: sandbox) != nil } ?? 0
        for (index, container) in containers.enumerated() {
            let isPast = appHasRun || index < reached
            let latest = observed.latest(container.name, in: sandbox)
            if container.isSidecar {
                guard let latest, latest.state == .running else {
                    start(container, in: sandbox)
                    if isPast { continue }
                    return false
                }
                if isPast || memory.verdicts[latest.id]?.started == true { continue }
                return false
            }
            if isPast { continue }
            switch latest?.state {
            case .exited where latest?.exitCode == 0: continue
            case .running: return false
            case .exited where pod.restartPolicy == .never: return false
            default:
                start(container, in: sandbox)
                return false
            }
        }
        return true
    }

    private mutating func startAppContainers(in sandbox: String) {
        for container in pod.spec.containers {
            if let latest = observed.latest(container.name, in: sandbox), latest.state == .running { continue }
            if let latest = observed.latest(container.name), latest.state == .exited, !restarts(after: latest.exitCode)
            {
                continue
            }
            start(container, in: sandbox)
        }
    }

    private mutating func start(_ container: Container, in sandbox: String) {
        let latest = observed.latest(container.name)
        if let setback = memory.setbacks[container.name], setback.retryAt > now {
            decision.wake(at: setback.retryAt)
            return
        }
        // Made, but never started: the agent or the runtime was interrupted between the two.
        if let latest, latest.state == .created {
            decision.actions.append(.remove(id: latest.id))
            decision.actions.append(
                .start(name: container.name, attempt: latest.attempt, sandbox: sandbox, previousEnd: nil))
            return
        }
        // An init container that has succeeded and runs again in a new sandbox does not back off.
        var previousEnd: Date?
        if let latest, latest.state == .exited, latest.sandboxID == sandbox {
            previousEnd = latest.endedAt
            let retry = memory.restarts[container.name]?.notBefore(after: latest.endedAt, timing) ?? latest.endedAt
            if retry > now {
                decision.backingOff[container.name] = retry
                decision.wake(at: retry)
                return
            }
        }
        decision.actions.append(
            .start(
                name: container.name, attempt: observed.nextAttempt(container.name), sandbox: sandbox,
                previousEnd: previousEnd))
    }

    // MARK: Garbage

    /// Of each container one ended instance is kept, for its last state and log; older sandboxes go when they are empty.
    private mutating func collectGarbage(keeping sandbox: String) {
        var kept: Set<String> = []
        var removed: Set<String> = []
        let planned = decision.actions
        for container in observed.containers where container.state == .exited {
            if kept.insert(container.name).inserted { continue }
            removed.insert(container.id)
            guard !planned.contains(.remove(id: container.id)) else { continue }
            decision.actions.append(.remove(id: container.id))
        }
        for old in observed.sandboxes where old.id != sandbox && !old.isReady {
            let isEmpty = observed.containers.allSatisfy { $0.sandboxID != old.id || removed.contains($0.id) }
            if isEmpty { decision.actions.append(.removeSandbox(id: old.id)) }
        }
    }
}
