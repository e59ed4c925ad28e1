internal import Core
internal import LinuxKernel
internal import SystemPackage

extension Engine {
    /// Kills the pod's containers and takes its network and namespaces away. Succeeds when the pod is stopped or gone.
    public func stopPodSandbox(_ id: String) async throws {
        guard let pod = try findPod(id) else { return }
        try await exclusively("pod/\(pod.id)") {
            guard let pod = self.registry.pod(exactly: pod.id) else { return }
            try await self.stop(pod)
        }
    }

    /// Stops and removes the pod with its containers. Succeeds when it is gone.
    public func removePodSandbox(_ id: String) async throws {
        guard let pod = try findPod(id) else { return }
        try await exclusively("pod/\(pod.id)") {
            guard let pod = self.registry.pod(exactly: pod.id) else { return }
            try await self.stop(pod)
            for container in self.registry.containers(in: pod.id) {
                try await self.removeContainer(container.id)
            }
            try Failpoint.reach("pod.remove.containers")
            let removing = try self.registry.updatePod(pod.id) { $0.state = .removing }
            await self.plugins.podSandboxRemoved(removing)
            try await self.store(pod: pod.id)
            try Failpoint.reach("pod.remove.recorded")
            try await self.dismantle(pod, removing: true)
            try Failpoint.reach("pod.remove.dismantled")
            self.registry.removePod(pod.id)
            self.podSamples.forget(pod.id)
            self.networkUpkeep.note(nil, of: pod.id)
            self.scheduleNetworkCollection()
            try await self.store(pod: pod.id)
            try Failpoint.reach("pod.remove.forgotten")
            self.containerEvents.publish(
                ContainerEvent(containerID: pod.id, kind: .deleted, at: WallClock.now(), pod: pod, containers: []))
        }
    }

    private func findPod(_ id: String) throws -> PodSandbox? {
        do {
            return try registry.pod(id)
        } catch let error as BerthError where error.code == .notFound {
            return nil
        }
    }

    private func stop(_ pod: PodSandbox) async throws {
        let wasReady = pod.state.isReady
        if wasReady {
            // From here on nobody creates a container in it.
            try registry.updatePod(pod.id) { $0.state = .notReady(since: WallClock.now(), reason: "stopped") }
            try await store(pod: pod.id)
            try Failpoint.reach("pod.stop.recorded")
        }
        for container in registry.containers(in: pod.id) {
            try await stopContainer(container.id, grace: .zero)
        }
        try Failpoint.reach("pod.stop.containers")
        if wasReady { await plugins.podSandboxStopped(registry.pod(exactly: pod.id) ?? pod) }
        try await dismantle(pod, removing: false)
        try Failpoint.reach("pod.stop.dismantled")
        if wasReady { publish(.stopped, pod.id, pod: pod.id) }
    }

    /// Takes away what a pod is made of; what is not there is no error, so that it can be repeated.
    ///
    /// - Parameter removing: its files and cgroup too, not only what makes it run.
    func dismantle(_ pod: PodSandbox, removing: Bool) async throws {
        if !pod.hasHostNetwork { try await network.tearDown(pod.networkRequest(layout)) }
        try Failpoint.reach("pod.dismantle.network")
        await endInit(of: pod)
        try Failpoint.reach("pod.dismantle.init")
        do {
            for name in try Files.list(layout.namespaces(ofPod: pod.id)) {
                try unmountAll(layout.namespace(name, ofPod: pod.id))
            }
            try unmountAll(layout.sharedMemory(ofPod: pod.id))
            try Failpoint.reach("pod.dismantle.unmounted")
            guard removing else { return }
            try Files.removeTree(layout.pod(pod.id))
        } catch {
            throw BerthError(.internal, "could not take the files of pod sandbox \(pod.id) away", cause: error)
        }
        try Failpoint.reach("pod.dismantle.files")
        try await removePodCgroup(pod)
    }

    func unmountAll(_ path: FilePath) throws(Errno) {
        while true {
            do throws(Errno) {
                try Syscall.umount2(path, [.detach, .noFollow])
            } catch .invalidArgument {
                return
            } catch .noSuchFileOrDirectory {
                return
            }
        }
    }
}
