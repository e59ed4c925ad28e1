internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

extension Engine {
    /// The name of the runtime of this daemon itself; the empty one means the same.
    static let ownHandler = "berth"

    /// Those of the configuration.
    static func programs(_ configuration: EngineConfiguration) async throws -> [String: OCIRuntimeProgram] {
        var programs: [String: OCIRuntimeProgram] = [:]
        for (name, path) in configuration.runtimes {
            guard !name.isEmpty, name != ownHandler, !name.contains("/") else {
                throw BerthError.invalid(
                    field: "runtimes", value: name, rule: "is no name for a runtime; \(ownHandler) is this daemon's own"
                )
            }
            programs[name] = try await OCIRuntimeProgram(
                name: name, path: path, state: configuration.state, criu: configuration.criu)
        }
        return programs
    }

    var handlerNames: Set<String> { Set(["", Self.ownHandler] + programs.keys) }

    /// The runtime of a pod's containers; `nil` for our own.
    func program(of pod: PodSandbox) -> OCIRuntimeProgram? { programs[pod.runtimeHandler] }

    /// The runtime of a container: its pod's, or the one that has restored it.
    func program(of container: Container) -> OCIRuntimeProgram? {
        let restorer = container.isRestored == true ? restorer : nil
        if programs.isEmpty { return restorer }
        return registry.pod(exactly: container.podID).flatMap(program) ?? restorer
    }

    /// The configuration as a runtime program takes it.
    func configured(_ spec: RuntimeSpec, of container: Container, in pod: PodSandbox) -> RuntimeSpec {
        var spec = spec
        spec.ociVersion = OCIRuntimeProgram.specificationVersion
        if let name = scopeName(of: container, in: pod) { spec.linux?.cgroupsPath = name }
        return spec
    }

    /// Starts the monitor and the runtime's process, which waits before it makes the container.
    func launch(_ container: Container, by program: OCIRuntimeProgram) async throws -> LaunchedProcess {
        let request = program.run(
            container.id, bundle: layout.container(container.id),
            checkpoint: container.isRestored == true ? checkpoints.images(container.id) : nil,
            terminal: container.config.terminal,
            monitor: MonitorOptions(
                socket: layout.monitorSocket(of: container.id), exitPath: layout.exitRecord(of: container.id)),
            stdio: stdio(of: container), cgroup: Cgroup(host: facts.cgroups, path: container.cgroup),
            usesSystemd: configuration.usesSystemd)
        let launched = try await launcher.launch(try compiler.compileCommand(request))
        try Failpoint.reach("handler.create.launched")
        return launched
    }

    /// Returns when the runtime has started the container's program, or that has ended already.
    func waitForStart(_ container: Container, _ entry: LiveContainer, by program: OCIRuntimeProgram) async throws {
        let bundle = layout.container(container.id)
        try Failpoint.reach("handler.start.released")
        let deadline = ContinuousClock.now + configuration.startTimeout
        var pause = Duration.milliseconds(2)
        while ContinuousClock.now < deadline {
            if let pid = program.process(in: bundle) {
                if let status = ProcessStatus.read(pid) {
                    try registry.updateContainer(container.id) {
                        $0.process = ProcessIdentity(pid: pid, startTime: status.startTime)
                    }
                }
                try Failpoint.reach("handler.start.running")
                return
            }
            if entry.exited.isOpen {
                guard program.process(in: bundle) == nil else { return }
                throw BerthError(
                    .internal,
                    "\(program.path): \(program.failure(in: bundle) ?? "it ended before the container ran")")
            }
            _ = await entry.exited.wait(atMost: pause)
            pause = min(pause * 2, .milliseconds(50))
        }
        throw BerthError(
            .deadlineExceeded, "\(program.path) did not start the container within \(configuration.startTimeout)")
    }
}
