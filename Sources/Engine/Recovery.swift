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
///     nothing          anything                              gone: killed, unmounted, removed
///
/// What cannot be taken apart now stays, as a pod that is not ready or a container that has exited, so that its client sees
/// it and removes it.
extension Engine {
    func recover() async throws {
        let unread = try await restore()
        leaveAlone(unread)
        await Strays(ids: halfMade).endProcesses()
        recoverCheckpoints()
        await recoverContainers()
        await recoverPods()
        await removeStrangers(except: unread)
        checkNetworks()
        let (pods, containers) = (registry.pods().count, registry.containers().count)
        if pods + containers > 0 {
            logger.notice("recovered", metadata: ["pods": "\(pods)", "containers": "\(containers)"])
        }
    }

    private var halfMade: Set<String> {
        Set(registry.pods { $0.state == .creating }.map(\.id)).union(
            registry.containers { $0.state == .creating }.map(\.id))
    }

    /// Fills the registry.
    ///
    /// - Returns: IDs whose records a newer version wrote. They are left alone, with all that is theirs.
    private func restore() async throws -> Set<String> {
        var unread: Set<String> = []
        for record in try await database.pods() {
            do {
                registry.insert(try Records.pod(from: record))
            } catch let error as BerthError where error.code == .dataLoss {
                logger.error("a pod whose record is damaged is removed", metadata: ["error": "\(error)"])
                _ = try await database.deletePod(id: record.id)
            } catch {
                logger.error("a pod's record is left alone", metadata: ["pod": "\(record.id)", "error": "\(error)"])
                unread.insert(record.id)
            }
        }
        for record in try await database.containers() {
            do {
                let container = try Records.container(from: record)
                guard registry.pod(exactly: container.podID) != nil || unread.contains(container.podID) else {
                    throw BerthError(
                        .dataLoss,
                        "container \"\(container.id)\" is in pod sandbox \"\(container.podID)\", which is lost")
                }
                registry.restore(container)
            } catch let error as BerthError where error.code == .dataLoss {
                logger.error("a container without a whole record is removed", metadata: ["error": "\(error)"])
                _ = try await database.deleteContainer(id: record.id)
            } catch {
                logger.error(
                    "a container's record is left alone", metadata: ["container": "\(record.id)", "error": "\(error)"])
                unread.insert(record.id)
            }
        }
        return unread
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
            case .creating:
                try await undo(container)
            case .removing: try await forget(container)
            case .exited: entry.exited.open()
            case .created, .running:
                CommandCgroup.sweep(below: Cgroup(host: facts.cgroups, path: container.cgroup))
                try await find(container, entry)
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
        switch await ask(entry.monitor) {
        case .answered(let state):
            if case .running = state.status, container.state == .created {
                // The daemon was killed between the start and its record.
                try registry.updateContainer(container.id) { $0.state = .running(startedAt: WallClock.now()) }
                try await store(container: container.id)
            }
            watch(container.id, entry)
            return
        case .silent(let reason):
            // It is there: the record is the best that is known, and its end will be seen.
            logger.error(
                "a monitor does not answer", metadata: ["container": "\(container.id)", "error": "\(reason)"])
            watch(container.id, entry)
            return
        case .ended: break
        }
        let isAlive = container.process.map { ProcessStatus.isAlive($0.pid, startTime: $0.startTime) } ?? false
        guard !isAlive, !Files.exists(layout.container(container.id)) else {
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

    private enum Answer: Sendable {
        case answered(MonitorClient.State)
        case silent(String)
        case ended
    }

    /// One that hangs (it was stopped, or the host swaps) must not keep the others waiting.
    private func ask(_ monitor: MonitorClient) async -> Answer {
        await withTaskGroup(of: Answer.self) { group in
            group.addTask {
                do { return .answered(try await monitor.state()) } catch let error as BerthError {
                    let isOver = error.code == .failedPrecondition || error.code == .unavailable
                    return isOver ? .ended : .silent("\(error)")
                } catch { return .silent("\(error)") }
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(2))
                return .silent("no answer within two seconds")
            }
            defer { group.cancelAll() }
            return await group.next() ?? .ended
        }
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
        case .creating: try await undo(pod)
        case .removing:
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

    /// Takes away what is on the host and in no record, so that nothing can pile up: of a database that was lost, too.
    private func removeStrangers(except unread: Set<String>) async {
        func strangers(in directory: FilePath, _ known: [String]) -> [String] {
            ((try? Files.list(directory)) ?? []).filter { !known.contains($0) && !unread.contains($0) }
        }
        let pods = strangers(in: layout.pods, registry.pods().map(\.id))
        let containers = strangers(in: layout.containers, registry.containers().map(\.id))
        if !pods.isEmpty || !containers.isEmpty {
            // IDs are 64 hexadecimal digits; a directory of another name has no processes to look for.
            let strays = Strays(ids: Set((pods + containers).filter { $0.count == 64 && $0.allSatisfy(\.isHexDigit) }))
            await strays.endProcesses()
            for (path, id) in strays.cgroups(on: facts.cgroups) {
                do { try await deleteCgroup(path, of: id) } catch {
                    logger.warning("could not remove a cgroup", metadata: ["cgroup": "\(path)", "error": "\(error)"])
                }
            }
        }
        for id in containers {
            logger.notice("removing a container that no record knows", metadata: ["container": "\(id)"])
            removeStranger(layout.container(id))
            try? await images.removeRootFS(containerID: id)
        }
        for id in strangers(in: volumes, registry.containers().map(\.id)) {
            logger.notice("removing volumes of a container that no record knows", metadata: ["container": "\(id)"])
            try? removeVolumes(of: id)
        }
        for id in pods {
            logger.notice("removing a pod that no record knows", metadata: ["pod": "\(id)"])
            removeStranger(layout.pod(id))
        }
        do {
            let kept = registry.pods { $0.state.isReady }.map(\.id)
            try await network.collectGarbage(keeping: unread.union(kept))
        } catch {
            logger.warning("could not collect garbage of the network", metadata: ["error": "\(error)"])
        }
    }

    private func removeStranger(_ directory: FilePath) {
        for entry in MountTable.below(directory, in: (try? MountTable.read()) ?? []) {
            try? Syscall.umount2(FilePath(entry.target), [.detach, .noFollow])
        }
        try? Files.removeTree(directory)
    }
}
