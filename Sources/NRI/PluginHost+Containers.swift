internal import Core
public import Engine
internal import NRIAPI
public import OCISpec

extension PluginHost {
    public func createContainer(
        _ container: Container, spec: RuntimeSpec, in pod: PodSandbox
    ) async throws -> ContainerAdjustment {
        let plugins = state.withLock { state in
            state.containers[container.id] = (container, spec)
            return state.plugins
        }
        guard !plugins.isEmpty else { return ContainerAdjustment(spec: spec) }
        var adjusted = AdjustedContainer(id: container.id, spec: spec)
        var updates: [(plugin: String, update: NRIContainerUpdate)] = []
        var evictions: [(plugin: String, eviction: NRIContainerEviction)] = []
        for plugin in plugins {
            let name = "\(plugin.name)"
            guard
                let answer = try await ask(
                    plugin, .createContainer, request(container, adjusted.spec, pod),
                    as: NRICreateContainerResponse.self)
            else { continue }
            if answer.hasAdjust { try adjusted.apply(answer.adjust, by: name) }
            guard !answer.update.contains(where: { $0.containerID == container.id }) else {
                throw BerthError(
                    .invalidArgument,
                    "plugin \(name) wants to update container \"\(container.id)\", which is being made",
                    advice: "an adjustment is for that")
            }
            updates += answer.update.map { (name, $0) }
            evictions += answer.evict.map { (name, $0) }
        }
        try await validate(adjusted, container, spec, in: pod, updates.map(\.update), plugins)
        for (plugin, eviction) in evictions { carryOut([eviction], of: plugin) }
        for (plugin, update) in updates { _ = await carryOut([update], of: plugin) }
        return ContainerAdjustment(spec: adjusted.spec, cdiDevices: adjusted.cdiDevices)
    }

    /// Every plugin that wants to judge what others want has to agree.
    private func validate(
        _ adjusted: AdjustedContainer, _ container: Container, _ spec: RuntimeSpec, in pod: PodSandbox,
        _ updates: [NRIContainerUpdate], _ plugins: [Plugin]
    ) async throws {
        let request = NRIValidateContainerAdjustmentRequest.with {
            $0.pod = message(pod)
            $0.container = NRIContainer(container, spec)
            $0.adjust = adjusted.wanted
            $0.update = updates
            $0.owners.owners[container.id] = adjusted.claims.message
            $0.plugins = plugins.map { plugin in
                NRIPluginInstance.with {
                    $0.name = plugin.name.name
                    $0.index = plugin.name.index
                }
            }
        }
        for plugin in plugins where plugin.wants(.validateContainerAdjustment) {
            guard let answer = try await judgement(of: plugin, request) else {
                // Whom nobody can ask has not agreed.
                throw BerthError(
                    .failedPrecondition,
                    "plugin \(plugin.name) did not validate the adjustments of container \"\(container.id)\"")
            }
            guard !answer.reject else {
                throw BerthError(
                    .failedPrecondition,
                    "plugin \(plugin.name) rejects the adjustments of container \"\(container.id)\": \(answer.reason)")
            }
        }
    }

    /// - Returns: `nil` where it cannot be had. A plugin of before there was this call has nothing against.
    private func judgement(
        of plugin: Plugin, _ request: NRIValidateContainerAdjustmentRequest
    ) async throws -> NRIValidateContainerAdjustmentResponse? {
        try await reach(plugin, .validateContainerAdjustment) {
            do {
                return try await plugin.connection.call(
                    NRIEvent.validateContainerAdjustment.method, request, timeout: configuration.requestTimeout,
                    as: NRIValidateContainerAdjustmentResponse.self)
            } catch let failure as CallFailure where failure.isUnimplemented {
                return NRIValidateContainerAdjustmentResponse()
            }
        }
    }

    public func containerCreated(_ container: Container, in pod: PodSandbox) async {
        state.withLock { $0.containers[container.id] = nil }
        await tell(.postCreateContainer, container, pod)
    }

    public func startContainer(_ container: Container, in pod: PodSandbox) async throws {
        guard !plugins().isEmpty else { return }
        let request = request(container, specification(container), pod)
        try await tell(.startContainer, request, request.pod, request.container)
    }

    public func containerStarted(_ container: Container, in pod: PodSandbox) async {
        await tell(.postStartContainer, container, pod)
    }

    public func updateContainer(
        _ container: Container, to limits: RuntimeSpec.Linux.Resources, in pod: PodSandbox
    ) async throws -> RuntimeSpec.Linux.Resources {
        guard !plugins().isEmpty else { return limits }
        let spec = specification(container)
        var adjusted = AdjustedLimits(limits)
        var claims = FieldClaims(containerID: container.id)
        var others: [(plugin: String, update: NRIContainerUpdate)] = []
        for plugin in plugins() {
            let name = "\(plugin.name)"
            let request = NRIUpdateContainerRequest.with {
                $0.pod = message(pod)
                $0.container = NRIContainer(container, spec)
                $0.linuxResources = NRILinuxResources(adjusted.limits)
            }
            guard let answer = try await ask(plugin, .updateContainer, request, as: NRIUpdateContainerResponse.self)
            else { continue }
            for update in answer.update {
                guard update.containerID == container.id else {
                    others.append((name, update))
                    continue
                }
                // As a whole or not at all.
                var (wanted, claimed) = (adjusted, claims)
                do {
                    try wanted.apply(update.linux.resources, by: name, &claimed)
                    (adjusted, claims) = (wanted, claimed)
                } catch {
                    guard update.ignoreFailure else { throw error }
                }
            }
            carryOut(answer.evict, of: name)
        }
        for (plugin, update) in others { _ = await carryOut([update], of: plugin) }
        return adjusted.limits
    }

    public func containerUpdated(_ container: Container, in pod: PodSandbox) async {
        await tell(.postUpdateContainer, container, pod)
    }

    public func containerStopped(_ container: Container, in pod: PodSandbox) async {
        guard !plugins().isEmpty else { return }
        let request = request(container, specification(container), pod)
        for plugin in plugins() {
            await heard {
                let answer = try await ask(plugin, .stopContainer, request, as: NRIStopContainerResponse.self)
                if let answer { _ = await carryOut(answer.update, of: "\(plugin.name)") }
            }
        }
    }

    public func containerRemoved(_ container: Container, in pod: PodSandbox) async {
        state.withLock { $0.containers[container.id] = nil }
        await tell(.removeContainer, container, pod)
    }

    // MARK: Messages

    private func tell(_ event: NRIEvent, _ container: Container, _ pod: PodSandbox) async {
        guard !plugins().isEmpty else { return }
        let request = request(container, specification(container), pod)
        await heard { try await tell(event, request, request.pod, request.container) }
    }

    private func request(_ container: Container, _ spec: RuntimeSpec?, _ pod: PodSandbox) -> NRIContainerRequest {
        NRIContainerRequest.with {
            $0.pod = message(pod)
            $0.container = NRIContainer(container, spec)
        }
    }

    func specification(_ container: Container) -> RuntimeSpec? {
        // What is being made has none of its own yet.
        state.withLock { $0.containers[container.id]?.spec } ?? engine?.runtimeSpecification(of: container)
    }
}
