internal import Core
public import LaunchAPI
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// How `create`, `run` and `exec` run a process.
public struct RunOptions: Sendable {
    public var consoleSocket: FilePath?
    public var pidFile: FilePath?
    public var preservedDescriptors: Int
    public var noPivot: Bool
    public var noNewKeyring: Bool
    /// Unix socket that receives a pidfd of the process.
    public var pidfdSocket: FilePath?
    /// `exec`: sub-cgroups of the container's, `PATH` or `CONTROLLERS:PATH`.
    public var subCgroups: [String] = []

    public init() {
        preservedDescriptors = 0
        noPivot = false
        noNewKeyring = false
    }
}

extension ContainerRuntime {
    /// Makes a container out of a bundle.
    ///
    /// - Parameters:
    ///   - waiting: its process waits for `start`; otherwise it runs when this returns.
    ///   - check: refuses a configuration that does not fit the caller's options, before anything is made.
    /// - Returns: the container, and its process with the pty's master where there is no console socket.
    /// - Throws: `BerthError`; nothing of a failed create stays behind.
    public func create(
        id: String, bundle: FilePath, waiting: Bool, options: RunOptions, check: (RuntimeSpec) throws -> Void = { _ in }
    ) throws -> (container: KnownContainer, process: LaunchedProcess) {
        try Identifier.validate(id)
        let (spec, bytes) = try TraceTimes.part("read config.json") { try bundleSpecification(bundle) }
        try check(spec)
        let directory = try claim(id)
        do {
            return try create(
                id: id, bundle: bundle, spec: spec, configuration: bytes, directory: directory, waiting: waiting,
                options: options)
        } catch {
            try? Files.removeTree(directory)
            throw error
        }
    }

    /// What `create` would do.
    public func plan(id: String, bundle: FilePath) throws -> Berth_Launch_V1_Plan {
        try Identifier.validate(id)
        let (spec, _) = try bundleSpecification(bundle)
        try spec.validate()
        let (facts, cgroup) = try place(spec, id: id)
        let compile = try compileOptions(
            id: id, bundle: bundle, directory: root.appending(id), cgroup: cgroup, waiting: true, options: RunOptions())
        return try PlanCompiler(facts: facts).compile(placed(spec, in: cgroup), options: compile)
    }

    func bundleSpecification(_ bundle: FilePath) throws -> (RuntimeSpec, [UInt8]) {
        let file = bundle.appending("config.json")
        let bytes: [UInt8]
        do {
            bytes = try Files.read(file, limit: Self.specificationLimit)
        } catch .noSuchFileOrDirectory {
            throw BerthError(.notFound, "JSON specification file config.json not found in \(bundle)")
        } catch {
            throw BerthError(.invalidArgument, "read \(file)", cause: error)
        }
        return (
            try StrictJSON.decode(RuntimeSpec.self, from: bytes, what: file.string, limit: Self.specificationLimit),
            bytes
        )
    }

    /// The directory is the lock: whoever makes it has the ID.
    func claim(_ id: String) throws -> FilePath {
        let directory = root.appending(id)
        do {
            try Files.makeDirectories(root, mode: 0o711)
            try Syscall.mkdirat(directory, mode: 0o711)
            return directory
        } catch Errno.fileExists {
            throw BerthError(.alreadyExists, "container with given ID already exists")
        } catch {
            throw BerthError(.internal, "make \(directory)", cause: error)
        }
    }

    private func create(
        id: String, bundle: FilePath, spec original: RuntimeSpec, configuration: [UInt8], directory: FilePath,
        waiting: Bool, options: RunOptions
    ) throws -> (container: KnownContainer, process: LaunchedProcess) {
        try TraceTimes.part("check config.json") { try original.validate() }
        let (detected, cgroup) = try TraceTimes.part("look at the host") { try place(original, id: id) }
        var facts = detected
        if original.linux?.intelRdt != nil { facts.resctrl = HostFacts.resctrlMountpoint() }
        let spec = placed(original, in: cgroup)
        try refuseLiveCgroup(cgroup)
        let compile = try compileOptions(
            id: id, bundle: bundle, directory: directory, cgroup: cgroup, waiting: waiting, options: options)
        let plan = try TraceTimes.part("compile the plan") {
            try PlanCompiler(facts: facts).compile(withListenVariables(spec, options), options: compile)
        }
        for warning in spec.process.map({ CapabilityWarnings.of($0, facts) }) ?? [] { Self.warn(warning) }
        if cgroup.cgroup.directories.isEmpty, !NamespacePlan(spec.linux?.namespaces ?? []).new.contains(.pid) {
            Self.warn(
                "the container has neither a cgroup nor a PID namespace of its own. Such configuration is strongly "
                    + "discouraged: not all of its processes can be found and killed")
        }
        Self.debug(plan)
        try Files.writeAtomically(directory.appending("config.json"), configuration)
        if waiting {
            // The process in a user namespace opens it for writing.
            try Syscall.mknodat(directory.appending("exec.fifo"), mode: 0o010622)
            try Syscall.fchmodat(directory.appending("exec.fifo"), mode: 0o622)
        }
        try note(cgroup, in: directory)
        let stopped = ContainerState(
            id: id, status: .stopped, pid: 0, bundle: bundle.string, annotations: spec.annotations)
        let process: LaunchedProcess
        do {
            process = try launch(plan, spec, in: cgroup, options)
        } catch {
            endLifecycle(of: spec, rootfs: rootfs(spec, bundle), stopped)
            throw error
        }
        for warning in process.warnings { Self.warn(warning.description) }
        do {
            if let pids = original.linux?.resources?.pids, spec.linux?.resources?.pids == nil {
                var late = RuntimeSpec.Linux.Resources()
                late.pids = pids
                do {
                    try cgroup.update(late)
                } catch  where !cgroup.cgroup.exists {
                    // A short process has ended, and systemd has removed its scope.
                }
            }
            let stored = StoredContainer(
                id: id, pid: process.pid, startTime: process.startTime, bundle: bundle.string,
                rootfs: rootfs(spec, bundle), created: Timestamp.now(), owner: Syscall.effectiveUserID,
                cgroupPath: cgroup.path, unit: cgroup.unit,
                hierarchies: PlannedCgroup(cgroup, isPartial: isRootless).hierarchies,
                annotations: spec.annotations)
            try Files.writeAtomically(directory.appending("state.json"), StrictJSON.text(stored.json))
            if let pidFile = options.pidFile {
                try Files.writeAtomically(pidFile, Array("\(process.pid)".utf8), mode: 0o644)
            }
            if let socket = options.pidfdSocket { try PidfdSocket.send(process.pid, to: socket) }
            return (KnownContainer(directory: directory, stored: stored, cgroup: cgroup, specification: spec), process)
        } catch {
            abandon(process, cgroup)
            endLifecycle(of: spec, rootfs: rootfs(spec, bundle), stopped)
            throw BerthError.wrapping(error, "record container \(id)")
        }
    }

    /// The process is killed and, where it is a child, reaped.
    private func abandon(_ process: LaunchedProcess, _ cgroup: ContainerCgroup) {
        if let pidfd = try? Syscall.pidfdOpen(process.pid) {
            try? Syscall.pidfdSendSignal(pidfd.fd, 9)
            _ = try? Syscall.poll([(pidfd.fd, events: 1)], timeout: 5000)
            _ = try? Syscall.wait(pidfd: pidfd.fd, noHang: true)
        }
        try? cgroup.kill()
        try? cgroup.delete()
    }

    /// A cgroup with processes is another container's: its limits and its end would become theirs. A frozen one would
    /// stop ours.
    private func refuseLiveCgroup(_ cgroup: ContainerCgroup) throws {
        guard cgroup.cgroup.exists else { return }
        if cgroup.isFrozen {
            throw BerthError(.failedPrecondition, "container's cgroup unexpectedly frozen: \(cgroup.path)")
        }
        if try !cgroup.pids().isEmpty {
            throw BerthError(.failedPrecondition, "container's cgroup is not empty: \(cgroup.path) has processes")
        }
    }

    private func compileOptions(
        id: String, bundle: FilePath, directory: FilePath, cgroup: ContainerCgroup, waiting: Bool, options: RunOptions
    ) throws -> CompileOptions {
        var compile = CompileOptions(
            id: id, bundle: bundle, start: waiting ? .onFIFO(directory.appending("exec.fifo")) : .immediately)
        compile.sibling = true
        compile.consoleSocket = options.consoleSocket
        compile.plainLineEnds = options.consoleSocket == nil
        compile.preservedDescriptors = UInt32(clamping: options.preservedDescriptors + Self.listenDescriptors)
        compile.noPivot = options.noPivot
        compile.noNewKeyring = options.noNewKeyring
        compile.cgroupSurvey = cgroup.survey()
        return compile
    }

    func rootfs(_ spec: RuntimeSpec, _ bundle: FilePath) -> String {
        let path = FilePath(spec.root?.path ?? "")
        return (path.isAbsolute ? path : bundle.pushing(path)).lexicallyNormalized().string
    }

    // MARK: Descriptors

    /// Sockets of systemd's socket activation, which follow stdio.
    static var listenDescriptors: Int {
        Environment.value("LISTEN_FDS").flatMap { Int($0) }.map { max(0, min($0, 1024)) } ?? 0
    }

    private func withListenVariables(_ spec: RuntimeSpec, _ options: RunOptions) -> RuntimeSpec {
        let count = Self.listenDescriptors
        guard count > 0 else { return spec }
        var spec = spec
        let variables = (spec.process?.env ?? []) + ["LISTEN_FDS=\(count)", "LISTEN_PID=1"]
        spec.process?.env = variables
        return spec
    }

    static func descriptors(_ options: RunOptions) -> [(FileDescriptor, Int32)] {
        (0..<Int32(3 + options.preservedDescriptors + listenDescriptors)).map { (FileDescriptor(rawValue: $0), $0) }
    }
}
