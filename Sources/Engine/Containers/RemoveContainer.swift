internal import Core
internal import LinuxKernel
internal import SystemPackage

extension Engine {
    /// Removes the container with its filesystem, and kills it first where it runs. Succeeds when it is gone.
    public func removeContainer(_ id: String) async throws {
        let found: Container
        do {
            found = try registry.container(id)
        } catch let error as BerthError where error.code == .notFound {
            return
        }
        try await exclusively("container/\(found.id)") {
            guard let container = self.registry.container(exactly: found.id) else { return }
            if let entry = self.live[container.id] {
                switch container.state {
                case .running, .created: try await self.kill(container, entry)
                // Its end is known, and may be being told still.
                case .exited: _ = await entry.exited.wait(atMost: self.configuration.killTimeout)
                default: break
                }
            }
            let removing = try self.registry.updateContainer(container.id) { $0.state = .removing($0.state.exit) }
            try await self.store(container: container.id)
            try Failpoint.reach("container.remove.recorded")
            try await self.dismantle(container)
            try Failpoint.reach("container.remove.dismantled")
            if let pod = self.registry.pod(exactly: container.podID) {
                await self.plugins.containerRemoved(removing, in: pod)
            }
            self.registry.removeContainer(container.id)
            self.live[container.id] = nil
            try await self.store(container: container.id)
            try Failpoint.reach("container.remove.forgotten")
            self.publish(.deleted, container.id, pod: container.podID)
        }
    }

    /// Takes away what a container is made of; what is not there is no error, so that it can be repeated.
    func dismantle(_ container: Container) async throws {
        if let program = program(of: container) {
            try await program.delete(container.id)
            try Failpoint.reach("handler.delete.deleted")
        }
        try await deleteCgroup(container.cgroup, of: container.id)
        try Failpoint.reach("container.dismantle.cgroup")
        await endMonitor(of: container)
        try Failpoint.reach("container.dismantle.monitor")
        try await unmountHostMounts(of: container)
        try Failpoint.reach("container.dismantle.unmounted")
        do {
            try Files.removeTree(layout.container(container.id))
        } catch {
            throw BerthError(.internal, "could not remove \(layout.container(container.id))", cause: error)
        }
        try removeVolumes(of: container.id)
        if container.isRestored == true { try removeCheckpoint(container.id) }
        try Failpoint.reach("container.dismantle.files")
        try await images.removeRootFS(containerID: container.id)
        try Failpoint.reach("container.dismantle.rootfs")
    }

    /// The monitor ends by itself once its container has ended; one that does not is killed.
    private func endMonitor(of container: Container) async {
        guard let monitor = registry.container(exactly: container.id)?.monitor ?? container.monitor,
            ProcessStatus.isAlive(monitor.pid, startTime: monitor.startTime),
            let pidfd = try? Syscall.pidfdOpen(monitor.pid)
        else { return }
        defer { pidfd.close() }
        let ended = Latch()
        let wait = Task {
            try? await Poller.shared.waitForExit(pidfd.fd)
            ended.open()
        }
        if await ended.wait(atMost: .milliseconds(500)) { return }
        if ProcessStatus.isAlive(monitor.pid, startTime: monitor.startTime) {
            try? Syscall.pidfdSendSignal(pidfd.fd, 9)
        }
        _ = await ended.wait(atMost: .seconds(2))
        wait.cancel()
    }
}
