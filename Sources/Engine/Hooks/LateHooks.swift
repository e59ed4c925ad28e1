internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

/// Hooks after the launch: the launcher runs those before it.
extension Engine {
    /// Seconds, for a hook that names no limit: what hangs here would hold up whoever waits for the container's end.
    private static let hookLimit = 60

    /// - Throws: `BerthError` of the first that fails; the container is to end then (runtime-spec, "Lifecycle").
    func runPoststartHooks(of container: Container) async throws {
        guard let hooks = lateHooks(of: container, \.poststart) else { return }
        try await run(hooks, of: container, status: .running, kind: "poststart")
    }

    /// One that fails keeps none of the others from running.
    func runPoststopHooks(of container: Container) async {
        for hook in lateHooks(of: container, \.poststop) ?? [] {
            do { try await run([hook], of: container, status: .stopped, kind: "poststop") } catch {
                logger.warning(
                    "a hook failed", metadata: ["container": "\(container.id)", "error": "\(error)"])
            }
        }
    }

    /// Another runtime runs them itself.
    private func lateHooks(
        of container: Container, _ kind: KeyPath<RuntimeSpec.Hooks, [RuntimeSpec.Hook]?>
    ) -> [RuntimeSpec.Hook]? {
        guard program(of: container) == nil, let spec = runtimeSpecification(of: container),
            let hooks = spec.hooks?[keyPath: kind], !hooks.isEmpty
        else { return nil }
        return hooks
    }

    private func run(
        _ hooks: [RuntimeSpec.Hook], of container: Container, status: OCISpec.ContainerState.Status, kind: String
    ) async throws {
        let state = OCISpec.ContainerState(
            id: container.id, status: status, pid: status == .running ? container.process?.pid : nil,
            bundle: layout.container(container.id).string, annotations: runtimeSpecification(of: container)?.annotations
        )
        for (index, hook) in hooks.enumerated() {
            var hook = hook
            hook.timeout = hook.timeout ?? Self.hookLimit
            let limited = hook
            try await BlockingWork.run { try HookRunner.run(limited, state: state, kind: kind, index: index) }
        }
    }
}
