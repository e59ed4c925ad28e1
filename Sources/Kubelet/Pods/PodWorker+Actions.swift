internal import CRIAPI
internal import Core
internal import Foundation
internal import SystemPackage

extension PodWorker {
    /// In order, but stops that stand next to each other at the same time.
    func perform(_ actions: [PodAction]) async throws {
        var rest = actions[...]
        while let action = rest.popFirst() {
            try Task.checkCancellation()
            guard case .stop = action else {
                try await perform(action)
                continue
            }
            var stops = [action]
            while case .stop? = rest.first { stops.append(rest.removeFirst()) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for stop in stops { group.addTask { try await self.perform(stop) } }
                try await group.waitForAll()
            }
        }
    }

    private func perform(_ action: PodAction) async throws {
        switch action {
        case .createSandbox(let attempt): await createSandbox(attempt: attempt)
        case .stopSandbox(let id): try await ignoringMissing { try await node.runtime.stopPodSandbox(id) }
        case .removeSandbox(let id): try await ignoringMissing { try await node.runtime.removePodSandbox(id) }
        case .start(let name, let attempt, let sandbox, let previousEnd):
            guard let container = pod.container(named: name) else { return }
            await start(container, attempt: attempt, sandbox: sandbox, previousEnd: previousEnd)
        case .stop(let id, let name, let grace, let reason):
            try await stop(id, name: name, grace: grace, reason: reason)
        case .remove(let id): try await remove(id)
        }
    }

    private func ignoringMissing(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as BerthError where error.code == .notFound {
            log.debug("already gone: \(error)")
        }
    }

    // MARK: Sandbox

    private func createSandbox(attempt: UInt32) async {
        do {
            try prepareVolumes()
            let config = try sandboxConfig(attempt: attempt)
            try HostFiles.makeDirectories(node.configuration.logs.appending(pod.logFolder), mode: 0o755)
            let id = try await node.runtime.runPodSandbox(config)
            memory.sandboxSetback = nil
            memory.sandboxLaunch = BackOff()
            log.info("sandbox \(id.prefix(12)) runs")
        } catch {
            guard !Task.isCancelled else { return }
            memory.sandboxLaunch.advance(after: Date(), now: Date(), node.configuration.timing)
            let retry = Date() + memory.sandboxLaunch.delay
            memory.sandboxSetback = .init(reason: "FailedCreatePodSandBox", message: "\(error)", retryAt: retry)
            log.error("could not create the sandbox: \(error); next try in \(Int(memory.sandboxLaunch.delay)) s")
        }
    }

    private func prepareVolumes() throws {
        guard !volumesAreReady else { return }
        try volumes.prepare(downward)
        volumesAreReady = true
    }

    private var networkFiles: PodNetworkFiles {
        let text = (try? HostFiles.text(node.configuration.resolvConf, limit: 1 << 20)) ?? ""
        return PodNetworkFiles(pod: pod, configuration: node.configuration, hostResolvConf: text)
    }

    private func sandboxConfig(attempt: UInt32) throws -> Runtime_V1_PodSandboxConfig {
        try SandboxConfigBuilder(
            pod: pod, configuration: node.configuration, facts: node.facts, manifest: manifest, network: networkFiles
        ).build(attempt: attempt)
    }

    private var downward: DownwardFields {
        let hostIP = node.configuration.nodeIP
        return DownwardFields(
            pod: pod, podIPs: pod.usesHostNetwork ? [hostIP] : observed.latestSandbox?.addresses ?? [], hostIP: hostIP,
            nodeName: node.configuration.nodeName, nodeCPUs: node.facts.cpus, nodeMemory: node.facts.memory)
    }

    // MARK: Start

    private func start(_ container: Container, attempt: UInt32, sandbox: String, previousEnd: Date?) async {
        let now = Date()
        if let previousEnd {
            memory.restarts[container.name, default: BackOff()].advance(
                after: previousEnd, now: now, node.configuration.timing)
        }
        var stage = "CreateContainerConfigError"
        do {
            try prepareVolumes()
            let sandboxConfig = try sandboxConfig(attempt: observed.latestSandbox?.attempt ?? 0)
            stage = "ErrImagePull"
            let image = try await ensureImage(container, sandboxConfig)
            stage = "CreateContainerConfigError"
            try await checkUser(container, image: image)
            if !pod.usesHostNetwork || pod.spec.hostAliases?.isEmpty == false { try writeHosts() }
            let mounts = try volumes.mounts(
                for: container, attempt: attempt,
                managesHosts: !pod.usesHostNetwork || pod.spec.hostAliases?.isEmpty == false)
            let config = ContainerConfigBuilder(
                pod: pod, configuration: node.configuration, facts: node.facts, downward: downward
            ).build(container, attempt: attempt, image: image, mounts: mounts)
            try HostFiles.makeDirectories(
                node.configuration.logs.appending(pod.logFolder).appending(container.name), mode: 0o755)
            stage = "CreateContainerError"
            let id = try await node.runtime.createContainer(in: sandbox, config, sandboxConfig: sandboxConfig)
            stage = "RunContainerError"
            try await node.runtime.startContainer(id)
            memory.setbacks[container.name] = nil
            memory.launches[container.name] = nil
            log.info("container \(container.name) runs as \(id.prefix(12)), attempt \(attempt)")
            try await afterStart(container, id: id)
        } catch {
            guard !Task.isCancelled else { return }
            let reason = (error as? LaunchFailure)?.reason ?? stage
            noteSetback(container, reason: reason, message: (error as? LaunchFailure)?.message ?? "\(error)")
        }
    }

    private func noteSetback(_ container: Container, reason: String, message: String) {
        let isFirst = memory.launches[container.name] == nil
        memory.launches[container.name, default: BackOff()].advance(
            after: Date(), now: Date(), node.configuration.timing)
        let delay = memory.launches[container.name]?.delay ?? 0
        let shown = reason == "ErrImagePull" && !isFirst ? "ImagePullBackOff" : reason
        memory.setbacks[container.name] = .init(reason: shown, message: message, retryAt: Date() + delay)
        log.error("container \(container.name) does not start: \(shown): \(message); next try in \(Int(delay)) s")
    }

    private struct LaunchFailure: Error {
        let reason: String
        let message: String
    }

    /// - Returns: the runtime's reference to the image.
    private func ensureImage(_ container: Container, _ sandboxConfig: Runtime_V1_PodSandboxConfig) async throws
        -> String
    {
        let policy = container.imagePullPolicy ?? .ifNotPresent
        if policy != .always {
            if let image = try await node.runtime.imageStatus(container.image) { return image.id }
            guard policy == .ifNotPresent else {
                throw LaunchFailure(
                    reason: "ErrImageNeverPull",
                    message: "image \(container.image) is not present and imagePullPolicy is Never")
            }
        }
        log.info("pulling \(container.image)")
        return try await node.runtime.pullImage(container.image, sandboxConfig: sandboxConfig)
    }

    /// runAsNonRoot: what the manifest or else the image says must not be user 0 (core/v1 SecurityContext).
    private func checkUser(_ container: Container, image: String) async throws {
        let own = container.securityContext
        let shared = pod.spec.securityContext
        guard own?.runAsNonRoot ?? shared?.runAsNonRoot ?? false else { return }
        if let user = own?.runAsUser ?? shared?.runAsUser {
            if user == 0 { throw BerthError(.invalidArgument, "runAsNonRoot is set and runAsUser is 0") }
            return
        }
        let status = try await node.runtime.imageStatus(image)
        if let name = status?.username, !name.isEmpty {
            throw BerthError(
                .failedPrecondition,
                "runAsNonRoot is set and the image's user \"\(name)\" is a name that cannot be checked; set runAsUser")
        }
        guard let status, status.hasUid, status.uid.value != 0 else {
            throw BerthError(.failedPrecondition, "runAsNonRoot is set and image \(container.image) runs as root")
        }
    }

    private func writeHosts() throws {
        let host = pod.usesHostNetwork ? (try? HostFiles.text("/etc/hosts", limit: 1 << 20)) ?? "" : ""
        try volumes.writeHosts(networkFiles.hosts(addresses: observed.latestSandbox?.addresses ?? [], hostFile: host))
    }

    private func afterStart(_ container: Container, id: String) async throws {
        let startedAt = Date()
        if let hook = container.lifecycle?.postStart {
            let outcome: ProbeTracker.Outcome
            do {
                outcome = try await runner(container, id: id).hook(hook, timeout: 0)
            } catch {
                try Task.checkCancellation()
                outcome = .failure("\(error)")
            }
            if case .failure(let message) = outcome {
                log.error("postStart hook of container \(container.name) failed: \(message)")
                memory.verdicts[id] = .init(failure: .init(reason: "FailedPostStartHook"))
                return
            }
        }
        beginProbing(container, id: id, startedAt: startedAt)
    }

    // MARK: Stop and remove

    private func stop(_ id: String, name: String, grace: Int64, reason: String) async throws {
        probers[id]?.cancel()
        probers[id] = nil
        memory.verdicts[id]?.ready = false
        var left = grace
        log.info("stopping container \(name) (\(id.prefix(12))): \(reason), \(grace) s of grace")
        if grace > 0, let container = pod.container(named: name), let hook = container.lifecycle?.preStop {
            let began = Date()
            do {
                if case .failure(let message) = try await runner(container, id: id).hook(hook, timeout: grace) {
                    log.warning("preStop hook of container \(name) failed: \(message)")
                }
            } catch {
                log.warning("preStop hook of container \(name) failed: \(error)")
            }
            left = max(grace - Int64(Date().timeIntervalSince(began).rounded()), PodPlanner.minimumGrace)
        }
        try await ignoringMissing { try await node.runtime.stopContainer(id, timeout: left) }
    }

    private func remove(_ id: String) async throws {
        try await ignoringMissing { try await node.runtime.removeContainer(id) }
        terminationMessages[id] = nil
        guard let container = observed.containers.first(where: { $0.id == id }) else { return }
        let folder = node.configuration.logs.appending(pod.logFolder).appending(container.name)
        ContainerLogs.remove(in: folder, attempt: container.attempt)
        try? HostFiles.removeFolder(volumes.terminationLog(container.name, attempt: container.attempt))
    }

    // MARK: Ended containers

    func noteTerminations() {
        for instance in observed.containers where instance.state == .exited && terminationMessages[instance.id] == nil {
            guard let container = pod.container(named: instance.name) else { continue }
            let file = volumes.terminationLog(instance.name, attempt: instance.attempt)
            var message = HostFiles.tail(file, limit: 4096).map { String(decoding: $0, as: UTF8.self) } ?? ""
            if message.isEmpty, instance.exitCode != 0, container.terminationMessagePolicy == .fallbackToLogsOnError {
                message = ContainerLogs.lastLines(FilePath(instance.logPath), lines: 80, bytes: 2048)
            }
            terminationMessages[instance.id] = message
            log.info("container \(instance.name) ended with \(instance.exitCode) \(instance.reason)")
        }
    }
}
