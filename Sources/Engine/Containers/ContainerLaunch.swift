internal import Core
internal import Images
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

extension Engine {
    /// Looks up what the specification of a container takes from host and pod, and builds it.
    func specification(
        of container: Container, in pod: PodSandbox, execution: ImageConfig.Execution, user: ContainerUser,
        home: String, images: [Int: FilePath], volumes: [ImageVolume], labels: SELinuxLabels?
    ) throws -> RuntimeSpec {
        let security = container.config.security
        let cdi = try CDIRegistry(directories: configuration.cdiDirectories).edits(
            for: CDIRegistry.names(container.config))
        if let user = security.namespaces.user, user.mode == .pod, user != pod.userNamespace {
            throw BerthError(
                .invalidArgument,
                "config.linux.security_context.namespace_options.userns_options differ from those of pod sandbox \"\(pod.id)\""
            )
        }
        if security.namespaces.pid == .node, pod.userNamespace != nil {
            throw BerthError(
                .invalidArgument,
                "config.linux.security_context.namespace_options.pid is NODE, but pod sandbox \"\(pod.id)\" has its own user "
                    + "namespace")
        }
        if security.namespaces.pid == .pod, pod.config.security.namespaces.pid == .container {
            throw BerthError(
                .invalidArgument,
                "config.linux.security_context.namespace_options.pid is POD, but pod sandbox \"\(pod.id)\" has no shared "
                    + "PID namespace")
        }
        var builder = SpecBuilder(
            containerID: container.id, pod: pod, config: container.config, image: execution, user: user, home: home,
            layout: layout, cgroup: container.cgroup, host: host)
        builder.targetPIDNamespace = try targetNamespace(security.namespaces, in: pod)
        builder.seccomp = try seccomp(security)
        builder.apparmor = try apparmor.profile(of: security)
        builder.selinux = labels
        builder.devices = try HostDevices.resolve(container.config) + cdi.hostDevices()
        builder.cdi = cdi
        builder.imageMounts = images
        builder.volumes = volumes
        builder.passedAnnotations = configuration.passedAnnotations
        var spec = try builder.build()
        let annotations = pod.config.annotations.merging(container.config.annotations) { $1 }
            .merging(spec.annotations ?? [:]) { $1 }
        if let hooks = try HookDirectory(directories: configuration.hookDirectories).hooks(
            for: spec, annotations: annotations, hasBindMounts: !container.config.mounts.isEmpty)
        {
            spec.hooks = (spec.hooks ?? RuntimeSpec.Hooks()).followed(by: hooks)
        }
        return spec
    }

    private func targetNamespace(_ options: NamespaceOptions, in pod: PodSandbox) throws -> String? {
        guard options.pid == .target else { return nil }
        let target = try container(options.targetID)
        guard target.podID == pod.id else {
            throw BerthError(
                .invalidArgument, "target container \"\(target.id)\" is not in pod sandbox \"\(pod.id)\"")
        }
        guard target.state.isRunning, let process = target.process,
            ProcessStatus.isAlive(process.pid, startTime: process.startTime)
        else {
            throw BerthError(
                .failedPrecondition, "target container \"\(target.id)\" is \(target.state.name), not running")
        }
        return "/proc/\(process.pid)/ns/pid"
    }

    private func seccomp(_ security: ContainerSecurityContext) throws -> RuntimeSpec.Linux.Seccomp? {
        if security.privileged { return nil }
        switch security.seccomp ?? configuration.unsetSeccomp {
        case .unconfined: return nil
        case .runtimeDefault:
            return profiles.standard(capabilities: try CapabilitySet(security, host: host).permitted)
        case .localhost(let name):
            let path = configuration.seccompDirectory.pushing(FilePath(name))
            do {
                return try StrictJSON.decode(
                    RuntimeSpec.Linux.Seccomp.self, from: Files.read(path, limit: 4 << 20),
                    what: "seccomp profile \(path)")
            } catch let error as Errno {
                throw BerthError(.invalidArgument, "could not read seccomp profile \(path)", cause: error)
            }
        }
    }

    /// Starts the monitor and the container's process, which waits before its exec.
    func launch(_ container: Container, spec: RuntimeSpec, rootFS: SnapshotMounts) async throws -> LaunchedProcess {
        // A kubelet asks again and again for a container that cannot be created, whatever the pod's restart policy; one that
        // cannot be started has ended.
        var options = CompileOptions(
            id: container.id, bundle: layout.container(container.id),
            start: .onMonitorRequest(programMayBeMissing: true))
        let isMapped = spec.linux?.namespaces?.contains { $0.type == "user" } ?? false
        switch rootFS {
        // In a user namespace the root is there already, mounted with the pod's ids.
        case _ where isMapped: options.rootfs = layout.rootFS(of: container.id)
        case .bind(let source, _): options.rootfs = source
        case .overlay(let overlay):
            guard let upper = overlay.upper, let work = overlay.work else {
                throw BerthError(.internal, "the root filesystem of container \(container.id) has no writable layer")
            }
            options.rootfs = layout.rootFS(of: container.id)
            options.overlay = OverlayRoot(
                lower: overlay.lower.map { FilePath($0) }, upper: FilePath(upper), work: FilePath(work),
                options: OverlayMount.settings.map { "\($0)=\($1)" }
                    + (spec.linux?.mountLabel.map { ["context=\"\($0)\""] } ?? []))
            if spec.linux?.rootfsPropagation == "rshared" {
                let mounts = (try? MountTable.read()) ?? []
                options.overlay?.holder = mounts.holder(of: layout.container(container.id))
            }
        }
        options.monitor = MonitorOptions(
            socket: layout.monitorSocket(of: container.id), exitPath: layout.exitRecord(of: container.id))
        options.stdio = stdio(of: container)
        options.baseMounts = baseMounts?.path
        let cgroup = ContainerCgroup(host: facts.cgroups, path: container.cgroup, unit: unit(of: container.cgroup))
        options.cgroupSurvey = cgroup.survey()
        let plan = try compiler.compile(spec, options: options)
        guard cgroup.unit != nil else { return try await launcher.launch(plan) }
        // systemd makes a scope around a process: one that goes when the container's own is there.
        let placeholder = try launcher.placeholder()
        try await startUnit(of: container.cgroup, around: placeholder.pid, resources: container.resources)
        do {
            let launched = try await launcher.launch(plan)
            withExtendedLifetime(placeholder) {}
            return launched
        } catch {
            await stopUnit(of: container.cgroup)
            throw error
        }
    }

    func stdio(of container: Container) -> StdioOptions {
        StdioOptions(
            stdin: container.config.stdin, stdinOnce: container.config.stdinOnce,
            logPath: container.logPath.isEmpty ? nil : FilePath(container.logPath))
    }

    /// The plan of a command in a running container: its process with other arguments.
    ///
    /// - Parameter cgroup: that of the command, where it is not its container's.
    func execPlan(
        _ command: [String], in container: Container, _ entry: LiveContainer, terminal: Bool = false,
        cgroup: CommandCgroup? = nil
    ) throws -> Berth_Launch_V1_Plan {
        if let program = program(of: container) {
            return try compiler.compileCommand(
                program.exec(command, in: container.id, terminal: terminal, cgroup: cgroup?.option))
        }
        guard let process = container.process else {
            throw BerthError(.failedPrecondition, "container \"\(container.id)\" has no process")
        }
        let spec = try specification(of: container)
        var own = spec.process ?? RuntimeSpec.Process()
        own.args = command
        own.terminal = terminal
        var environment = own.env ?? []
        if terminal, !environment.contains(where: { $0.hasPrefix("TERM=") }) { environment.append("TERM=xterm") }
        own.env = environment
        let namespaces = (spec.linux?.namespaces ?? []).reduce(into: NamespaceTypes()) { types, namespace in
            if let type = NamespaceTypes.ofSpecification[namespace.type] { types.insert(type) }
        }
        let target = ExecTarget(
            id: container.id, pid: process.pid, namespaces: namespaces,
            cgroup: cgroup?.cgroup ?? Cgroup(host: facts.cgroups, path: container.cgroup), linux: spec.linux)
        var options = CompileOptions(id: container.id, bundle: layout.container(container.id))
        if terminal { options.stdio = StdioOptions() }
        return try compiler.compileExec(process: own, container: target, options: options)
    }

    func apply(_ limits: RuntimeSpec.Linux.Resources, to cgroup: String) throws {
        try ContainerCgroup(host: facts.cgroups, path: cgroup, unit: unit(of: cgroup)).update(limits)
    }
}

extension NamespaceTypes {
    fileprivate static let ofSpecification: [String: NamespaceTypes] = [
        "mount": .mount, "pid": .pid, "network": .network, "ipc": .ipc, "uts": .uts, "user": .user, "cgroup": .cgroup,
    ]
}

extension [MountEntry] {
    /// Where the mount ends that holds `path`: the deepest one at or above it.
    func holder(of path: FilePath) -> FilePath? {
        map { FilePath($0.target) }.filter(path.starts).max { $0.components.count < $1.components.count }
    }
}
