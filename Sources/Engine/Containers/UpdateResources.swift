internal import Core
internal import LinuxKernel
internal import OCIRuntime
public import OCISpec
internal import SystemPackage

extension Engine {
    /// Changes the limits of a container that has not ended; fields that `update` does not set stay as they are.
    public func updateContainerResources(_ id: String, to update: LinuxResources) async throws {
        let container = try container(id)
        try await exclusively("container/\(container.id)") {
            let container = try self.limitedContainer(container.id)
            guard let pod = self.registry.pod(exactly: container.podID) else {
                throw BerthError.notFound("pod sandbox", container.podID)
            }
            let limits = try await self.plugins.updateContainer(
                container, to: ResourceTranslation.ofContainer(update, on: self.host), in: pod)
            try self.apply(limits, to: container.cgroup)
            try Failpoint.reach("container.update.applied")
            let updated = try self.registry.updateContainer(container.id) {
                $0.resources = $0.resources.updated(by: update).updated(by: ResourceTranslation.limits(limits))
            }
            try await self.store(container: container.id)
            try Failpoint.reach("container.update.recorded")
            await self.plugins.containerUpdated(updated, in: pod)
        }
    }

    /// Changes limits of a container beside whatever is being done with it, and asks nobody: for plugins.
    public func setLimits(of id: String, to limits: RuntimeSpec.Linux.Resources) async throws {
        let container = try limitedContainer(id)
        try apply(limits, to: container.cgroup)
        try registry.updateContainer(container.id) {
            $0.resources = $0.resources.updated(by: ResourceTranslation.limits(limits))
        }
        try await store(container: container.id)
    }

    /// A container whose limits can still change.
    private func limitedContainer(_ id: String) throws -> Container {
        let container = try container(id)
        switch container.state {
        case .created, .running: return container
        default:
            throw BerthError(
                .failedPrecondition,
                "container \"\(container.id)\" is \(container.state.name): its limits cannot change")
        }
    }

    /// Changes the limits of a pod's own cgroup; those that the kubelet made it changes itself.
    ///
    /// CRI has this as a best effort: what the kernel refuses (a memory limit below what is used) is in the log, and the pod is
    /// to have the limits all the same.
    public func updatePodSandboxResources(
        _ id: String, overhead: LinuxResources?, resources: LinuxResources?
    ) async throws {
        let pod = try podSandbox(id)
        try await exclusively("pod/\(pod.id)") {
            let pod = try self.podSandbox(pod.id)
            try await self.plugins.updatePodSandbox(pod, overhead: overhead, resources: resources)
            if let resources, pod.ownsCgroup {
                do {
                    try self.apply(ResourceTranslation.specification(resources, on: self.host), to: pod.cgroup)
                } catch let error as BerthError where error.code == .failedPrecondition {
                    self.logger.warning(
                        "the limits of a pod could not be changed", metadata: ["pod": "\(pod.id)", "error": "\(error)"])
                }
            }
            try Failpoint.reach("pod.update.applied")
            let updated = try self.registry.updatePod(pod.id) {
                if let overhead { $0.overhead = ($0.overhead ?? LinuxResources()).updated(by: overhead) }
                if let resources { $0.resources = ($0.resources ?? LinuxResources()).updated(by: resources) }
            }
            try await self.store(pod: pod.id)
            try Failpoint.reach("pod.update.recorded")
            await self.plugins.podSandboxUpdated(updated)
        }
    }
}
