internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

/// Finding everything again after a restart, from the records, the exit records and the monitors' sockets.
///
///     record says      and the host shows                    becomes
///     creating         anything                              gone, with all that was made of it
///     removing         anything                              gone
///     pod ready        its namespaces are pinned             ready
///     pod ready        no namespaces (reboot)                not ready
///     created,running  an exit record                        exited, as recorded
///     created,running  a monitor that answers                what the monitor says
///     created,running  neither                               exited, reason HostRebooted or MonitorLost
extension Engine {
    func recover() async throws {
        var restored = (pods: 0, containers: 0)
        for record in try await database.pods() {
            do {
                registry.insert(try Records.pod(from: record))
                restored.pods += 1
            } catch {
                logger.error("a pod's record is left alone", metadata: ["pod": "\(record.id)", "error": "\(error)"])
            }
        }
        for record in try await database.containers() {
            do {
                registry.restore(try Records.container(from: record))
                restored.containers += 1
            } catch {
                logger.error(
                    "a container's record is left alone", metadata: ["container": "\(record.id)", "error": "\(error)"])
            }
        }
        endStrayLaunchers()
        await recoverContainers()
        await recoverPods()
        await removeStrangers()
        if restored.pods + restored.containers > 0 {
            logger.notice("recovered", metadata: ["pods": "\(restored.pods)", "containers": "\(restored.containers)"])
        }
    }

    /// Launchers that a killed daemon had just started work on, beside our cleaning up, unless they are ended first. They
    /// carry the ID on their command line.
    private func endStrayLaunchers() {
        var halfMade = Set(registry.pods().filter { $0.state == .creating }.map(\.id))
        halfMade.formUnion(registry.containers().filter { $0.state == .creating }.map(\.id))
        guard !halfMade.isEmpty else { return }
        for pid in (try? ProcessStatus.all()) ?? [] {
            guard let bytes = try? Files.read(FilePath("/proc/\(pid)/cmdline"), limit: 1 << 16) else { continue }
            let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard words.first == "berth-launch", words.contains(where: halfMade.contains) else { continue }
            try? Syscall.kill(pid, 9)
        }
    }

    private func recoverContainers() async {
        await withTaskGroup { group in
            for container in registry.containers() {
                group.addTask { await self.recover(container) }
            }
        }
    }

    private func recover(_ container: Container) async {
        let entry = LiveContainer(monitor: MonitorClient(socket: layout.monitorSocket(of: container.id)))
        live[container.id] = entry
        do {
            switch container.state {
            case .creating, .removing: try await forget(container)
            case .exited: entry.exited.open()
            case .created, .running: try await find(container, entry)
            }
        } catch {
            logger.error(
                "could not recover container", metadata: ["container": "\(container.id)", "error": "\(error)"])
        }
    }

    private func find(_ container: Container, _ entry: LiveContainer) async throws {
        if try ExitRecord.read(at: layout.exitRecord(of: container.id)) != nil {
            await noteExit(of: container.id, entry)
            return
        }
        if let state = try? await entry.monitor.state() {
            if case .running = state.status, container.state == .created {
                // The daemon was killed between the start and its record.
                try registry.updateContainer(container.id) { $0.state = .running(startedAt: WallClock.now()) }
                try await store(container: container.id)
            }
            watch(container.id, entry)
            return
        }
        guard !Files.exists(layout.container(container.id)) else {
            await noteExit(of: container.id, entry)
            return
        }
        var started: Int64 = 0
        if case .running(let at) = container.state { started = at }
        try registry.updateContainer(container.id) {
            $0.state = .exited(
                ContainerExit(
                    code: 255, startedAt: started, finishedAt: WallClock.now(), reason: "HostRebooted",
                    message: "the host was restarted while the container ran"))
        }
        entry.exited.open()
        try await store(container: container.id)
    }

    private func forget(_ container: Container) async throws {
        try await dismantle(container)
        registry.removeContainer(container.id)
        live[container.id] = nil
        try await store(container: container.id)
    }

    private func recoverPods() async {
        await withTaskGroup { group in
            for pod in registry.pods() {
                group.addTask {
                    do { try await self.recover(pod) } catch {
                        self.logger.error("could not recover pod", metadata: ["pod": "\(pod.id)", "error": "\(error)"])
                    }
                }
            }
        }
    }

    private func recover(_ pod: PodSandbox) async throws {
        switch pod.state {
        case .creating, .removing:
            for container in registry.containers(in: pod.id) { try await removeContainer(container.id) }
            try await dismantle(pod, removing: true)
            registry.removePod(pod.id)
            try await store(pod: pod.id)
        case .notReady: break
        case .ready:
            guard !namespacesAreThere(pod) else { return }
            try registry.updatePod(pod.id) {
                $0.state = .notReady(since: WallClock.now(), reason: "its namespaces are gone: the host was restarted")
            }
            try await store(pod: pod.id)
            for container in registry.containers(in: pod.id) { try await stopContainer(container.id, grace: .zero) }
            try await dismantle(pod, removing: false)
        }
    }

    /// Takes away what is on the host and in no record, so that nothing can pile up.
    private func removeStrangers() async {
        let pods = Set(registry.pods().map(\.id))
        for id in (try? Files.list(layout.pods)) ?? [] where !pods.contains(id) {
            logger.notice("removing a pod's directory that no record knows", metadata: ["pod": "\(id)"])
            for entry in MountTable.below(layout.pod(id), in: (try? MountTable.read()) ?? []) {
                try? Syscall.umount2(FilePath(entry.target), [.detach, .noFollow])
            }
            try? Files.removeTree(layout.pod(id))
        }
        let containers = Set(registry.containers().map(\.id))
        for id in (try? Files.list(layout.containers)) ?? [] where !containers.contains(id) {
            logger.notice("removing a container's directory that no record knows", metadata: ["container": "\(id)"])
            for entry in MountTable.below(layout.container(id), in: (try? MountTable.read()) ?? []) {
                try? Syscall.umount2(FilePath(entry.target), [.detach, .noFollow])
            }
            try? Files.removeTree(layout.container(id))
            try? await images.removeRootFS(containerID: id)
        }
        do {
            try await network.collectGarbage(keeping: Set(registry.pods().filter { $0.state.isReady }.map(\.id)))
        } catch {
            logger.warning("could not collect garbage of the network", metadata: ["error": "\(error)"])
        }
    }
}
