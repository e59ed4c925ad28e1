public import Engine
internal import NRIAPI

extension PluginHost {
    public func runPodSandbox(_ pod: PodSandbox) async throws {
        let plugins = state.withLock { state in
            state.pods[pod.id] = pod
            return state.plugins
        }
        try await tell(.runPodSandbox, pod, plugins)
    }

    public func podSandboxReady(_ pod: PodSandbox) {
        state.withLock { $0.pods[pod.id] = nil }
    }

    public func updatePodSandbox(
        _ pod: PodSandbox, overhead: LinuxResources?, resources: LinuxResources?
    ) async throws {
        let request = NRIUpdatePodSandboxRequest.with {
            $0.pod = message(pod)
            if let overhead { $0.overheadLinuxResources = NRILinuxResources(overhead) }
            if let resources { $0.linuxResources = NRILinuxResources(resources) }
        }
        try await tell(.updatePodSandbox, request, request.pod)
    }

    public func podSandboxUpdated(_ pod: PodSandbox) async {
        await heard { try await tell(.postUpdatePodSandbox, pod) }
    }

    public func podSandboxStopped(_ pod: PodSandbox) async {
        await heard { try await tell(.stopPodSandbox, pod) }
    }

    public func podSandboxRemoved(_ pod: PodSandbox) async {
        state.withLock { $0.pods[pod.id] = nil }
        await heard { try await tell(.removePodSandbox, pod) }
    }

    private func tell(_ event: NRIEvent, _ pod: PodSandbox, _ plugins: [Plugin]? = nil) async throws {
        let plugins = plugins ?? self.plugins()
        guard !plugins.isEmpty else { return }
        let message = message(pod)
        try await tell(event, NRIPodSandboxRequest.with { $0.pod = message }, message, plugins: plugins)
    }

    func message(_ pod: PodSandbox) -> NRIPodSandbox {
        NRIPodSandbox(pod, namespaces: engine?.pinnedNamespaces(of: pod) ?? [])
    }
}
