internal import Core
internal import LinuxKernel
public import OCISpec
internal import SystemPackage

extension ContainerRuntime {
    /// Starts one more process in a container that runs.
    ///
    /// - Parameter adjust: changes the process of the container's configuration into the one to run.
    public func exec(
        _ container: KnownContainer, ignorePaused: Bool, options: RunOptions,
        process adjust: (RuntimeSpec.Process) throws -> RuntimeSpec.Process
    ) throws -> LaunchedProcess {
        switch container.status() {
        case .stopped: throw BerthError(.failedPrecondition, "cannot exec in a stopped container")
        case .paused where !ignorePaused:
            throw BerthError(
                .failedPrecondition, "cannot exec in a paused container (use --ignore-paused to override)")
        default: break
        }
        let spec = try container.specification()
        let process = try adjust(spec.process ?? .init())
        let namespaces = (spec.linux?.namespaces ?? []).reduce(into: NamespaceTypes()) { types, namespace in
            if let type = NamespaceTypes(specName: namespace.type) { types.insert(type) }
        }
        let target = ExecTarget(
            id: container.id, pid: container.stored.pid, namespaces: namespaces,
            cgroup: try ExecPlacement(container: container).cgroup(options.subCgroups),
            linux: spec.linux)
        var compile = CompileOptions(id: container.id, bundle: FilePath(container.stored.bundle))
        compile.sibling = true
        compile.consoleSocket = options.consoleSocket
        compile.plainLineEnds = options.consoleSocket == nil
        compile.preservedDescriptors = UInt32(clamping: options.preservedDescriptors)
        let facts = try TraceTimes.part("look at the host") { try HostFacts.detect(forExec: true) }
        let plan = try TraceTimes.part("compile the plan") {
            try PlanCompiler(facts: facts).compileExec(process: process, container: target, options: compile)
        }
        for warning in CapabilityWarnings.of(process, facts) { Self.warn(warning) }
        Self.debug(plan)
        let launcher = try launcher()
        let launched = try TraceTimes.launch(plan) {
            try launcher.launchBlocking($0, descriptors: Self.descriptors(options))
        }
        for warning in launched.warnings { Self.warn(warning.description) }
        do {
            if let pidFile = options.pidFile {
                try Files.writeAtomically(pidFile, Array("\(launched.pid)".utf8), mode: 0o644)
            }
            if let socket = options.pidfdSocket { try PidfdSocket.send(launched.pid, to: socket) }
        } catch {
            // Nobody would know of it.
            if let pidfd = try? Syscall.pidfdOpen(launched.pid) {
                try? Syscall.pidfdSendSignal(pidfd.fd, 9)
                _ = try? Syscall.poll([(pidfd.fd, events: 1)], timeout: 5000)
                _ = try? Syscall.wait(pidfd: pidfd.fd, noHang: true)
            }
            throw BerthError.wrapping(error, "record the process")
        }
        return launched
    }
}
