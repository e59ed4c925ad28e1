internal import Foundation

/// Computes the v1 PodStatus from what the runtime has and what the agent remembers.
struct PodStatusBuilder {
    let pod: Pod
    let observed: PodObservation
    let memory: PodMemory
    let decision: PodDecision
    let hostIP: String
    let runtimeName: String
    let startTime: Date
    /// Termination messages, by container ID.
    let terminationMessages: [String: String]
    let now: Date

    func build(previous: PodStatus?) -> PodStatus {
        let initial = pod.initContainers.map { self.status(of: $0) }
        let main = pod.spec.containers.map { self.status(of: $0) }
        let addresses = podAddresses
        let phase = self.phase(initial: initial, main: main)
        var status = PodStatus(
            phase: phase, conditions: conditions(phase: phase, initial: initial, main: main, previous: previous))
        status.hostIP = hostIP
        status.hostIPs = [PodStatus.Address(ip: hostIP)]
        status.podIP = addresses.first
        status.podIPs = addresses.isEmpty ? nil : addresses.map { PodStatus.Address(ip: $0) }
        status.startTime = Timestamp(startTime)
        status.initContainerStatuses = initial.isEmpty ? nil : initial
        status.containerStatuses = main
        status.qosClass = pod.qosClass
        if let setback = memory.sandboxSetback, observed.latestSandbox?.isReady != true {
            (status.reason, status.message) = (setback.reason, setback.message)
        }
        return status
    }

    private var podAddresses: [String] {
        guard let sandbox = observed.latestSandbox, sandbox.isReady else { return [] }
        return pod.usesHostNetwork ? [hostIP] : sandbox.addresses
    }

    // MARK: Containers

    func status(of container: Container) -> ContainerStatus {
        let instances = observed.containers.filter { $0.name == container.name }
        let latest = instances.first
        let verdict = latest.flatMap { memory.verdicts[$0.id] }
        let isRunning = latest?.state == .running
        var status = ContainerStatus(
            name: container.name, state: ContainerState(), lastState: ContainerState(), ready: false, started: false,
            restartCount: Int32(clamping: latest?.attempt ?? 0), image: container.image,
            imageID: latest?.imageID ?? "", containerID: latest.map { "\(runtimeName)://\($0.id)" })
        switch latest?.state {
        case .running:
            // Until its postStart hook is done a container counts as being created.
            if verdict != nil {
                status.state.running = .init(startedAt: Timestamp(latest?.startedAt ?? latest?.createdAt ?? now))
            } else {
                status.state.waiting = .init(reason: "ContainerCreating")
            }
        case .exited:
            status.state.terminated = latest.map(terminated)
        default:
            status.state.waiting = .init(reason: initialReason(container))
        }
        if let setback = memory.setbacks[container.name], !isRunning {
            status.lastState.terminated = status.state.terminated
            status.state = ContainerState(waiting: .init(reason: setback.reason, message: setback.message))
        } else if let retry = decision.backingOff[container.name] {
            status.lastState.terminated = status.state.terminated
            let time = retry.formatted(.iso8601)
            status.state = ContainerState(waiting: .init(reason: "CrashLoopBackOff", message: "restarts at \(time)"))
        }
        if status.lastState.terminated == nil, let last = instances.dropFirst().first, last.state == .exited {
            status.lastState.terminated = terminated(last)
        }
        status.started = isRunning && verdict?.started == true
        if pod.initContainers.contains(where: { $0.name == container.name && !$0.isSidecar }) {
            status.ready = latest?.state == .exited && latest?.exitCode == 0
        } else {
            status.ready = status.started && verdict?.ready == true && memory.terminationDeadline == nil
        }
        return status
    }

    private func initialReason(_ container: Container) -> String {
        let isApp = pod.spec.containers.contains { $0.name == container.name }
        return isApp && !pod.initContainers.isEmpty ? "PodInitializing" : "ContainerCreating"
    }

    private func terminated(_ container: ObservedContainer) -> ContainerState.Terminated {
        let message = terminationMessages[container.id] ?? container.message
        return ContainerState.Terminated(
            exitCode: container.exitCode, signal: nil,
            reason: container.reason.isEmpty ? (container.exitCode == 0 ? "Completed" : "Error") : container.reason,
            message: message.isEmpty ? nil : message,
            startedAt: Timestamp(container.startedAt ?? container.createdAt),
            finishedAt: Timestamp(container.endedAt), containerID: "\(runtimeName)://\(container.id)")
    }

    // MARK: Pod

    private func phase(initial: [ContainerStatus], main: [ContainerStatus]) -> PodPhase {
        let planner = PodPlanner(pod: pod, observed: observed, memory: memory, now: now, timing: .init())
        if planner.isFinished {
            let succeeded = main.allSatisfy { $0.state.terminated?.exitCode == 0 }
            return succeeded ? .succeeded : .failed
        }
        let everRan = main.allSatisfy {
            $0.state.running != nil || $0.state.terminated != nil || $0.lastState.terminated != nil
        }
        return everRan ? .running : .pending
    }

    private func conditions(
        phase: PodPhase, initial: [ContainerStatus], main: [ContainerStatus], previous: PodStatus?
    ) -> [PodCondition] {
        let sandboxReady = observed.latestSandbox?.isReady == true
        let appHasRun = main.contains { $0.containerID != nil }
        let waitingInit = zip(pod.initContainers, initial).filter { container, status in
            container.isSidecar ? !(status.started || appHasRun) : !(status.ready || appHasRun)
        }.map(\.1.name)
        let sidecars = zip(pod.initContainers, initial).filter(\.0.isSidecar).map(\.1)
        let unready = (sidecars + main).filter { !$0.ready }.map(\.name)

        var initialized = PodCondition(type: .initialized, status: waitingInit.isEmpty ? "True" : "False")
        if !waitingInit.isEmpty {
            initialized.reason = "ContainersNotInitialized"
            initialized.message = "containers with incomplete status: \(waitingInit.joined(separator: " "))"
        }
        var ready = PodCondition(type: .containersReady, status: "True")
        if phase.isFinal {
            ready.status = "False"
            ready.reason = phase == .succeeded ? "PodCompleted" : "PodFailed"
        } else if !unready.isEmpty {
            ready.status = "False"
            ready.reason = "ContainersNotReady"
            ready.message = "containers with unready status: \(unready.joined(separator: " "))"
        }
        var podReady = ready
        podReady.type = .ready
        let conditions = [
            PodCondition(type: .readyToStartContainers, status: sandboxReady ? "True" : "False"), initialized,
            podReady, ready, PodCondition(type: .scheduled, status: "True"),
        ]
        return conditions.map { condition in
            var condition = condition
            let before = previous?.conditions.first { $0.type == condition.type }
            condition.lastTransitionTime =
                before?.status == condition.status ? before?.lastTransitionTime : Timestamp(now)
            return condition
        }
    }
}
