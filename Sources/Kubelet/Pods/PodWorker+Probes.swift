internal import Foundation

extension PodWorker {
    /// Running containers that this agent has not started itself were started by the one before it.
    func adoptRunningContainers() {
        let running = Set(observed.containers.filter { $0.state == .running }.map(\.id))
        for (id, prober) in probers where !running.contains(id) {
            prober.cancel()
            probers[id] = nil
        }
        memory.verdicts = memory.verdicts.filter { running.contains($0.key) }
        guard memory.terminationDeadline == nil else { return }
        for instance in observed.containers where instance.state == .running && memory.verdicts[instance.id] == nil {
            guard let container = pod.container(named: instance.name) else { continue }
            beginProbing(container, id: instance.id, startedAt: instance.startedAt ?? instance.createdAt)
        }
    }

    /// From here the container counts as started, unless it has a startup probe to pass first.
    func beginProbing(_ container: Container, id: String, startedAt: Date) {
        let hasStartup = container.startupProbe != nil
        memory.verdicts[id] = PodMemory.Verdict(
            started: !hasStartup, ready: !hasStartup && container.readinessProbe == nil)
        guard hasStartup || container.livenessProbe != nil || container.readinessProbe != nil else { return }
        let prober = ContainerProber(
            runner: runner(container, id: id), container: container, startedAt: startedAt, log: log
        ) { [weak self] kind, state in
            await self?.note(kind, state, container: container, id: id)
        }
        probers[id] = Task { await prober.run() }
    }

    func runner(_ container: Container, id: String) -> ActionRunner {
        let address = pod.usesHostNetwork ? "127.0.0.1" : observed.latestSandbox?.addresses.first
        return ActionRunner(runtime: node.runtime, container: container, containerID: id, podIP: address)
    }

    private func note(_ kind: ProbeTracker.Kind, _ state: ProbeTracker.State, container: Container, id: String) {
        guard var verdict = memory.verdicts[id] else { return }
        switch (kind, state) {
        case (.startup, .passing):
            verdict.started = true
            if container.readinessProbe == nil { verdict.ready = true }
        case (.startup, .failing):
            verdict.failure = .init(
                reason: "StartupProbeFailed", gracePeriod: container.startupProbe?.terminationGracePeriodSeconds)
        case (.liveness, .failing):
            verdict.failure = .init(
                reason: "LivenessProbeFailed", gracePeriod: container.livenessProbe?.terminationGracePeriodSeconds)
        case (.readiness, let state):
            verdict.ready = state == .passing
        default: break
        }
        memory.verdicts[id] = verdict
        publish()
        wake()
    }
}
