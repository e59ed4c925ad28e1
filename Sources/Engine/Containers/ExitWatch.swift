internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

extension Engine {
    /// Waits, beside everything else, for the end of the container's monitor, and then takes its exit over.
    func watch(_ id: String, _ entry: LiveContainer) {
        Task.detached { [weak self] in
            try? await entry.monitor.waitForEnd()
            guard let self, !self.abandoned.isOpen else { return }
            await self.noteExit(of: id, entry)
        }
    }

    /// Puts the exit into the registry and the record, and wakes who waits for it.
    func noteExit(of id: String, _ entry: LiveContainer) async {
        defer { entry.exited.open() }
        guard let container = registry.container(exactly: id) else { return }
        let exit = await exit(of: container)
        let before = container.state
        let changed = try? registry.updateContainer(id) {
            switch $0.state {
            case .created, .running: $0.state = .exited(exit)
            default: break
            }
        }
        guard let changed, changed.state != before else { return }
        do {
            try Failpoint.reach("container.exit.noted")
            try await store(container: id)
            try Failpoint.reach("container.exit.recorded")
        } catch {
            logger.error(
                "could not store the exit of container", metadata: ["container": "\(id)", "error": "\(error)"])
        }
        publish(.stopped, id, pod: container.podID)
        if let pod = registry.pod(exactly: container.podID) { await plugins.containerStopped(changed, in: pod) }
        await runPoststopHooks(of: changed)
        logger.info(
            "container ended",
            metadata: ["container": "\(id)", "code": "\(exit.code)", "reason": "\(exit.reason)"])
    }

    /// From the exit record; where the monitor left none, what can be told without it.
    private func exit(of container: Container) async -> ContainerExit {
        do {
            if let record = try ExitRecord.read(at: layout.exitRecord(of: container.id)) {
                // What shares a PID namespace with others does not die with its first process.
                let cgroup = Cgroup(host: facts.cgroups, path: container.cgroup)
                if container.config.security.namespaces.pid != .container, cgroup.exists { try? cgroup.kill() }
                return ContainerExit(record)
            }
        } catch {
            logger.error(
                "the exit record of container is unreadable",
                metadata: ["container": "\(container.id)", "error": "\(error)"])
        }
        try? Cgroup(host: facts.cgroups, path: container.cgroup).kill()
        var started: Int64 = 0
        if case .running(let at) = container.state { started = at }
        return ContainerExit(
            code: 137, startedAt: started, finishedAt: WallClock.now(), reason: "MonitorLost",
            message: "the container's monitor was killed, and the container with it")
    }
}

extension ContainerExit {
    init(_ record: ExitRecord) {
        self.init(
            code: record.exitCode, startedAt: record.startedAt, finishedAt: record.finishedAt,
            reason: record.oomKilled ? "OOMKilled" : nil)
    }
}
