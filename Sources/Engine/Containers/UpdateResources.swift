internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

extension Engine {
    /// Changes the limits of a container that has not ended; fields that `update` does not set stay as they are.
    public func updateContainerResources(_ id: String, to update: LinuxResources) async throws {
        let container = try container(id)
        try await exclusively("container/\(container.id)") {
            let container = try self.container(container.id)
            switch container.state {
            case .created, .running: break
            default:
                throw BerthError(
                    .failedPrecondition,
                    "container \"\(container.id)\" is \(container.state.name): its limits cannot change")
            }
            let resources = container.resources.updated(by: update)
            try self.apply(update, to: container.cgroup)
            try self.registry.updateContainer(container.id) { $0.resources = resources }
            try await self.store(container: container.id)
        }
    }

    /// Changes the limits of a pod's own cgroup; those that the kubelet made it changes itself.
    public func updatePodSandboxResources(
        _ id: String, overhead: LinuxResources?, resources: LinuxResources?
    ) async throws {
        let pod = try podSandbox(id)
        try await exclusively("pod/\(pod.id)") {
            let pod = try self.podSandbox(pod.id)
            if let resources, pod.ownsCgroup { try self.apply(resources, to: pod.cgroup) }
            try self.registry.updatePod(pod.id) {
                if let overhead { $0.overhead = ($0.overhead ?? LinuxResources()).updated(by: overhead) }
                if let resources { $0.resources = ($0.resources ?? LinuxResources()).updated(by: resources) }
            }
            try await self.store(pod: pod.id)
        }
    }
}
