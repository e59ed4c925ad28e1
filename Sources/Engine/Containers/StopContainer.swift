internal import Core
internal import LinuxKernel
internal import SystemPackage

extension Engine {
    /// How long a program has after its exec to install its handlers of signals. A signal before them ends it as if it had
    /// none, which a slower runtime never shows.
    /// In nanoseconds.
    private static let settling: Int64 = 50_000_000

    /// Asks the container to end, and kills it after `grace`. Succeeds when it has ended or is gone.
    ///
    /// Calls do not wait for each other: the shortest grace of those under way counts. One that is cancelled before its
    /// grace is over kills nobody.
    ///
    /// - Throws: `BerthError`; `CancellationError`.
    public func stopContainer(_ id: String, grace: Duration) async throws {
        let container: Container
        do {
            container = try registry.container(id)
        } catch let error as BerthError where error.code == .notFound {
            return
        }
        // Behind a creation or start that is under way, but not behind another stop.
        let wait = try await exclusively("container/\(container.id)") { () -> (LiveContainer, asked: Bool)? in
            guard let container = self.registry.container(exactly: container.id), let entry = self.live[container.id]
            else { return nil }
            switch container.state {
            case .running(let startedAt):
                guard grace > .zero else { return (entry, false) }
                await self.settle(container, entry, startedAt: startedAt)
                return (entry, (try? await entry.monitor.signal(container.stopSignal)) != nil)
            case .creating, .created: return (entry, false)
            case .exited, .removing: return nil
            }
        }
        guard let (entry, asked) = wait else { return }
        try Failpoint.reach("container.stop.signalled")
        if asked, await entry.exited.wait(atMost: grace) { return }
        try Task.checkCancellation()
        try await Task {
            try await self.kill(container, entry)
            try Failpoint.reach("container.stop.killed")
        }.value
    }

    /// Waits until the container's program handles its stop signal, or is old enough to have had the time for it.
    private func settle(_ container: Container, _ entry: LiveContainer, startedAt: Int64) async {
        guard let process = container.process else { return }
        while WallClock.now() - startedAt < Self.settling,
            !ProcessStatus.expects(signal: container.stopSignal, process.pid)
        {
            if await entry.exited.wait(atMost: .milliseconds(2)) { return }
        }
    }

    /// Kills every process of the container and waits until its exit is known.
    func kill(_ container: Container, _ entry: LiveContainer) async throws {
        let cgroup = Cgroup(host: facts.cgroups, path: container.cgroup)
        let deadline = ContinuousClock.now + configuration.killTimeout
        var pause = Duration.milliseconds(50)
        repeat {
            do {
                if program(of: container) != nil {
                    try await killAll(of: cgroup, by: entry)
                } else {
                    try await entry.monitor.signal(SIGKILL, all: true)
                }
            } catch {
                // The monitor has ended, or never was; the kernel knows the processes too.
                if cgroup.exists { try? cgroup.kill() }
            }
            try Failpoint.reach("container.kill.signalled")
            if await entry.exited.wait(atMost: pause) { return }
            if cgroup.exists { try? cgroup.kill() }
            pause = min(pause * 2, .seconds(2))
        } while ContinuousClock.now < deadline
        throw BerthError(
            .deadlineExceeded,
            "container \"\(container.id)\" did not end within \(configuration.killTimeout) of being killed: "
                + "a process of it hangs in the kernel")
    }

    /// The runtime's own process waits for the container's, and must not go before it.
    private func killAll(of cgroup: Cgroup, by entry: LiveContainer) async throws {
        if cgroup.exists, try !cgroup.pids(recursive: true).isEmpty {
            try cgroup.kill()
        } else {
            try await entry.monitor.signal(SIGKILL)
        }
    }
}

private let SIGKILL: Int32 = 9
