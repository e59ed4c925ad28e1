internal import Core

extension Engine {
    /// Lets the container's process go on to its program; returns when that is executed.
    ///
    /// - Throws: `BerthError` of the step that failed. The container has exited then, with the reason "StartError".
    public func startContainer(_ id: String) async throws {
        let container = try container(id)
        try await exclusively("container/\(container.id)") {
            let container = try self.container(container.id)
            guard container.state == .created, let entry = self.live[container.id] else {
                throw BerthError(
                    .failedPrecondition, "container \"\(container.id)\" is \(container.state.name), not created")
            }
            guard let pod = self.registry.pod(exactly: container.podID), pod.state.isReady else {
                throw BerthError(.failedPrecondition, "pod sandbox \"\(container.podID)\" is not ready")
            }
            do {
                try await self.plugins.startContainer(container, in: pod)
                try await entry.monitor.start()
                if let program = self.program(of: container) {
                    try await self.waitForStart(container, entry, by: program)
                    if container.isRestored == true { try await self.restoreHostname(of: container.id, in: pod) }
                }
                try await self.runPoststartHooks(of: container)
            } catch {
                try await self.fail(container, entry, error)
                throw BerthError.wrapping(error, "could not start container \"\(container.id)\"")
            }
            try Failpoint.reach("container.start.released")
            // What it was restored from is as large as its memory.
            if container.isRestored == true { try self.removeCheckpoint(container.id) }
            // It may have ended by now, and its exit be known already.
            try self.registry.updateContainer(container.id) {
                if $0.state == .created { $0.state = .running(startedAt: WallClock.now()) }
            }
            try await self.store(container: container.id)
            try Failpoint.reach("container.start.recorded")
            self.publish(.started, container.id, pod: container.podID)
            await self.plugins.containerStarted(self.registry.container(exactly: container.id) ?? container, in: pod)
        }
    }

    private func fail(_ container: Container, _ entry: LiveContainer, _ error: any Error) async throws {
        let now = WallClock.now()
        let failed = try registry.updateContainer(container.id) {
            guard $0.state == .created else { return }
            $0.state = .exited(
                ContainerExit(code: 128, startedAt: 0, finishedAt: now, reason: "StartError", message: "\(error)"))
        }
        try? await kill(container, entry)
        try await store(container: container.id)
        // Where its end was seen before, it was told then.
        guard container.state == .created, failed.state.exit?.reason == "StartError" else { return }
        if let pod = registry.pod(exactly: container.podID) { await plugins.containerStopped(failed, in: pod) }
        await runPoststopHooks(of: failed)
    }
}
