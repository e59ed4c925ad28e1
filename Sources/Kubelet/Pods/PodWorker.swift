internal import Core
internal import Foundation
internal import Logging
internal import SystemPackage

/// Brings one pod to what its manifest says, and keeps it there: look, decide (`PodPlanner`), act, wait for the next event.
actor PodWorker {
    nonisolated let pod: Pod
    /// The file that the pod came from.
    nonisolated let manifest: String
    let node: NodeContext
    let log: Logger
    let volumes: PodVolumes

    var memory = PodMemory()
    var observed = PodObservation()
    var volumesAreReady = false
    var terminationMessages: [String: String] = [:]
    var probers: [String: Task<Void, Never>] = [:]

    private var observer: PodObserver
    private var status: PodStatus?
    private let startTime = Date()
    private var round: Task<PodDecision?, Never>?
    private var failures = 0
    private var lastActions: [PodAction] = []
    private var wakeIsPending = false
    private var sleeper: CheckedContinuation<Void, Never>?

    init(pod: Pod, manifest: String, node: NodeContext) {
        self.pod = pod
        self.manifest = manifest
        self.node = node
        var log = node.log
        log[metadataKey: "pod"] = "\(pod.fullName)"
        self.log = log
        volumes = PodVolumes(pod: pod, configuration: node.configuration)
        observer = PodObserver(runtime: node.runtime, uid: pod.uid)
    }

    /// Works until the pod is gone after `terminate`, or the task is cancelled, which leaves the pod running.
    func run() async {
        await withTaskCancellationHandler {
            while !Task.isCancelled {
                let task = Task { await self.workOneRound() }
                round = task
                let decision = await task.value
                round = nil
                if Task.isCancelled { break }
                if decision?.isGone == true {
                    do {
                        try cleanUp()
                        log.info("pod is removed")
                        break
                    } catch {
                        log.error("could not clean up: \(error)")
                        failures += 1
                    }
                }
                await pause(until: nextLook(after: decision))
            }
            for prober in probers.values { prober.cancel() }
            probers = [:]
        } onCancel: {
            Task { await self.interrupt() }
        }
    }

    /// Stops the pod and removes what it has; `run` returns when that is done.
    func terminate(grace: Int64? = nil) {
        guard memory.terminationDeadline == nil else { return }
        log.info("pod is being removed")
        memory.terminationDeadline = Date() + Double(grace ?? pod.gracePeriod)
        round?.cancel()
        wake()
    }

    var isTerminating: Bool { memory.terminationDeadline != nil }

    /// Looks again soon: something of the pod has changed.
    func wake() {
        if let sleeper {
            self.sleeper = nil
            sleeper.resume()
        } else {
            wakeIsPending = true
        }
    }

    private func interrupt() {
        round?.cancel()
        wake()
    }

    /// The pod as the API would show it.
    func current() -> Pod {
        var pod = pod
        pod.status = status
        return pod
    }

    private func workOneRound() async -> PodDecision? {
        do {
            try await look()
            let decision = decide()
            publish(decision)
            if !decision.actions.isEmpty {
                try await perform(decision.actions)
                try await look()
                publish(decide())
            }
            failures = 0
            return decision
        } catch {
            if !(error is CancellationError), !Task.isCancelled {
                failures += 1
                if failures == 1 || failures % 30 == 0 { log.error("could not bring the pod forward: \(error)") }
            }
            return nil
        }
    }

    private func look() async throws {
        var observer = observer
        observed = try await observer.observe()
        self.observer = observer
        noteTerminations()
        adoptRunningContainers()
    }

    private func decide() -> PodDecision {
        PodPlanner.decide(pod, observed, memory, now: Date(), timing: node.configuration.timing)
    }

    func publish(_ decision: PodDecision? = nil) {
        // The last that was seen of a pod stays its status until it is gone.
        if isTerminating, status != nil, observed.isEmpty { return }
        let builder = PodStatusBuilder(
            pod: pod, observed: observed, memory: memory, decision: decision ?? decide(),
            hostIP: node.configuration.nodeIP,
            runtimeName: node.runtimeName, startTime: observed.sandboxes.map(\.createdAt).min() ?? startTime,
            terminationMessages: terminationMessages, now: Date())
        let before = status?.phase
        let next = builder.build(previous: status)
        status = next
        if before != next.phase { log.info("pod is \(next.phase.rawValue)") }
    }

    private func nextLook(after decision: PodDecision?) -> Date? {
        guard let decision else { return Date() + min(pow(2, Double(min(failures, 5))) * 0.5, 15) }
        if failures > 0 { return Date() + 1 }
        defer { lastActions = decision.actions }
        // The same again: the runtime says done and is not; no reason to ask it without a pause.
        if !decision.actions.isEmpty { return Date() + (decision.actions == lastActions ? 1 : 0) }
        return decision.wakeAt
    }

    /// Waits for `wake`, or until `date`; with neither, for ever.
    private func pause(until date: Date?) async {
        if wakeIsPending {
            wakeIsPending = false
            return
        }
        let alarm = date.map { date in
            Task {
                try? await Task.sleep(for: .seconds(max(date.timeIntervalSinceNow, 0)))
                if !Task.isCancelled { self.wake() }
            }
        }
        await withCheckedContinuation { sleeper = $0 }
        alarm?.cancel()
        wakeIsPending = false
    }

    private func cleanUp() throws {
        for prober in probers.values { prober.cancel() }
        probers = [:]
        try volumes.remove()
        try HostFiles.removeFolder(node.configuration.logs.appending(pod.logFolder))
        PodCgroup.removeEmpty(uid: pod.uid, qos: pod.qosClass, root: node.configuration.cgroupRoot)
    }
}

extension PodWorker {
    /// Log files of running containers, with the containers' IDs.
    func runningLogs() -> [(path: FilePath, id: String)] {
        observed.containers.filter { $0.state == .running && !$0.logPath.isEmpty }.map { (FilePath($0.logPath), $0.id) }
    }

    /// The log of the newest instance of a container; `nil` where it has none.
    func logPath(of name: String) -> FilePath? {
        guard let path = observed.latest(name)?.logPath, !path.isEmpty else { return nil }
        return FilePath(path)
    }
}
