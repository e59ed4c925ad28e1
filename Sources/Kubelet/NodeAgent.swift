internal import CRIAPI
internal import Core
internal import Foundation
public import Logging
internal import SystemPackage

/// The standalone node agent: makes the runtime run the pods of a manifest directory, and nothing else of its own.
///
/// It keeps no state that it could not find again: pods are recognised by the UID label, which follows from the
/// manifest's path and content.
public actor NodeAgent {
    private struct Running {
        let worker: PodWorker
        let task: Task<Void, Never>
        var isTerminating = false
    }

    let configuration: KubeletConfiguration
    let runtime: any ContainerRuntime
    let log: Logger
    private var node: NodeContext?
    private var directory: ManifestDirectory
    private var pods: [String: Running] = [:]
    private var collisions: Set<String> = []
    private var summaries: [String: Set<String>] = [:]
    private var lastRelist: Date?
    private var runtimeIsDown = false
    private var manifestsChanged: AsyncStream<Void>.Continuation?

    public init(configuration: KubeletConfiguration, runtime: any ContainerRuntime, log: Logger) {
        self.configuration = configuration
        self.runtime = runtime
        self.log = log
        directory = ManifestDirectory(path: configuration.manifests, nodeName: configuration.nodeName, log: log)
    }

    /// Works until the task is cancelled, which leaves the pods running unless the configuration says otherwise.
    public func run() async throws {
        try HostFiles.makeDirectories(configuration.root)
        let lock = try AgentLock(configuration.root)
        defer { lock.release() }
        node = try await connect()
        let (ticks, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        manifestsChanged = continuation
        DirectoryWatch.watch(configuration.manifests) { continuation.yield() }
        let clock = Task { [period = configuration.relistPeriod] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(period))
                continuation.yield()
            }
        }
        let rotation = Task { await self.rotateLogs() }
        defer {
            clock.cancel()
            rotation.cancel()
            continuation.finish()
        }
        await tick()
        for await _ in ticks {
            if Task.isCancelled { break }
            await tick()
        }
        await shutDown()
    }

    private func connect() async throws -> NodeContext {
        var tries = 0
        while true {
            do {
                let version = try await runtime.version()
                log.info(
                    "runtime is \(version.runtimeName) \(version.runtimeVersion), CRI \(version.runtimeApiVersion)")
                var driver = configuration.cgroupDriver
                if driver == nil { driver = try await runtime.cgroupDriver() }
                return NodeContext(
                    runtime: runtime, configuration: configuration, facts: .local(cgroupDriver: driver ?? .cgroupfs),
                    runtimeName: version.runtimeName, log: log)
            } catch {
                try Task.checkCancellation()
                if tries % 30 == 0 { log.warning("waiting for the runtime: \(error)") }
                tries += 1
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func tick() async {
        let isReadable = directory.scan()
        if isReadable { reconcile() }
        await relist(adoptOrphans: isReadable)
    }

    // MARK: Manifests to workers

    private func reconcile() {
        // A pod that runs keeps its name against a file that comes later with the same one.
        let wanted = directory.entries.sorted { left, right in
            (pods[left.pod.uid] == nil ? 1 : 0, left.path) < (pods[right.pod.uid] == nil ? 1 : 0, right.path)
        }
        var owners: [String: String] = [:]
        var uids: Set<String> = []
        var collided: Set<String> = []
        for entry in wanted {
            if let owner = owners[entry.pod.fullName] {
                let text =
                    "\(entry.path): pod \(entry.pod.fullName) is already defined by \(owner); this one is not run"
                collided.insert(text)
                if !collisions.contains(text) { log.error("\(text)") }
                continue
            }
            owners[entry.pod.fullName] = entry.path
            uids.insert(entry.pod.uid)
        }
        collisions = collided
        for (uid, running) in pods where !uids.contains(uid) && !running.isTerminating { terminate(uid) }
        for entry in wanted where uids.contains(entry.pod.uid) && pods[entry.pod.uid] == nil {
            // The pod before it goes first: name, ports and volumes are its own until it is gone.
            if pods.values.contains(where: { $0.worker.pod.fullName == entry.pod.fullName }) { continue }
            begin(entry.pod, manifest: entry.path)
        }
    }

    @discardableResult
    private func begin(_ pod: Pod, manifest: String) -> PodWorker? {
        guard let node else { return nil }
        let worker = PodWorker(pod: pod, manifest: manifest, node: node)
        let task = Task {
            await worker.run()
            if !Task.isCancelled { self.forget(pod.uid) }
        }
        pods[pod.uid] = Running(worker: worker, task: task)
        return worker
    }

    private func forget(_ uid: String) {
        pods[uid] = nil
        summaries[uid] = nil
        manifestsChanged?.yield()
    }

    private func terminate(_ uid: String) {
        guard let running = pods[uid] else { return }
        pods[uid]?.isTerminating = true
        Task { await running.worker.terminate() }
    }

    // MARK: Runtime to workers

    /// One look at everything for all workers: those whose sandboxes or containers have changed are woken.
    private func relist(adoptOrphans: Bool) async {
        let sandboxes: [Runtime_V1_PodSandbox]
        let containers: [Runtime_V1_Container]
        do {
            sandboxes = try await runtime.listPodSandboxes(labels: [:])
            containers = try await runtime.listContainers(labels: [:])
        } catch {
            if !runtimeIsDown, !Task.isCancelled { log.error("the runtime does not answer: \(error)") }
            runtimeIsDown = true
            return
        }
        if runtimeIsDown { log.info("the runtime answers again") }
        runtimeIsDown = false
        lastRelist = Date()

        var found: [String: Set<String>] = [:]
        for sandbox in sandboxes {
            guard let uid = sandbox.labels[PodLabel.podUID] else { continue }
            found[uid, default: []].insert("\(sandbox.id) \(sandbox.state)")
        }
        for container in containers {
            guard let uid = container.labels[PodLabel.podUID] else { continue }
            found[uid, default: []].insert("\(container.id) \(container.state)")
        }
        for (uid, running) in pods where found[uid, default: []] != summaries[uid, default: []] {
            await running.worker.wake()
        }
        summaries = found
        if adoptOrphans { self.adoptOrphans(sandboxes, containers) }
    }

    /// Pods that this agent made and whose manifest is gone.
    private func adoptOrphans(_ sandboxes: [Runtime_V1_PodSandbox], _ containers: [Runtime_V1_Container]) {
        let broken = directory.broken
        let wanted = Set(directory.entries.map(\.pod.uid))
        for sandbox in sandboxes {
            guard let uid = sandbox.labels[PodLabel.podUID], pods[uid] == nil, !wanted.contains(uid),
                sandbox.annotations[PodLabel.owner] == configuration.root.string
            else { continue }
            let manifest = sandbox.annotations[PodLabel.manifest] ?? ""
            guard !broken.contains(manifest) else { continue }
            let own = containers.filter { $0.labels[PodLabel.podUID] == uid }
            guard let pod = Pod(orphan: sandbox, containers: own) else { continue }
            log.info("pod \(pod.fullName) has no manifest any more")
            begin(pod, manifest: manifest)
            terminate(uid)
        }
    }

    // MARK: Logs

    private func rotateLogs() async {
        let rotation = LogRotation(
            runtime: runtime, maxSize: configuration.logMaxSize, maxFiles: configuration.logMaxFiles)
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(10))
            for running in pods.values {
                for (path, id) in await running.worker.runningLogs() {
                    do {
                        if try await rotation.rotate(path, containerID: id, now: Date()) { log.info("rotated \(path)") }
                    } catch {
                        log.error("could not rotate \(path): \(error)")
                    }
                }
            }
        }
    }

    // MARK: End

    private func shutDown() async {
        if configuration.stopPodsOnExit {
            log.info("pods to stop: \(pods.count)")
            for uid in pods.keys { terminate(uid) }
            for running in pods.values { await running.task.value }
            return
        }
        for running in pods.values { running.task.cancel() }
        for running in pods.values { await running.task.value }
        log.info("pods left running: \(pods.count)")
    }

    // MARK: What the server shows

    /// All pods with their status, by namespace and name.
    func list() async -> [Pod] {
        var list: [Pod] = []
        for running in pods.values { list.append(await running.worker.current()) }
        return list.sorted { $0.fullName < $1.fullName }
    }

    func worker(_ fullName: String) -> PodWorker? { pods.values.first { $0.worker.pod.fullName == fullName }?.worker }

    /// `nil` while all is well, else what is not.
    func trouble() -> String? {
        if node == nil { return "the runtime has not answered yet" }
        if runtimeIsDown { return "the runtime does not answer" }
        guard let lastRelist else { return "the runtime has not been listed yet" }
        let age = Date().timeIntervalSince(lastRelist)
        return age > max(60, configuration.relistPeriod * 10)
            ? "the last look at the runtime was \(Int(age)) s ago" : nil
    }
}
