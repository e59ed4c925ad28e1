internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

extension Engine {
    /// The namespaces that the pod has of its own, by the runtime specification's names.
    static func namespaceTypes(of pod: PodSandbox) -> [(type: String, file: String)] {
        let options = pod.config.security.namespaces
        var types: [(String, String)] = []
        // First of all: the others belong to it.
        if pod.userNamespace != nil { types.append(("user", "user")) }
        if options.network == .pod { types += [("network", "net"), ("uts", "uts")] }
        if options.ipc == .pod { types.append(("ipc", "ipc")) }
        if options.pid == .pod { types.append(("pid", "pid")) }
        return types
    }

    /// Type and file of those that are pinned at this moment.
    public func pinnedNamespaces(of pod: PodSandbox) -> [(type: String, path: String)] {
        Self.namespaceTypes(of: pod).map { ($0.type, layout.namespace($0.file, ofPod: pod.id)) }
            .filter { Self.isPin($0.1) }.map { ($0.0, $0.1.string) }
    }

    /// Makes the pod's namespaces in a process that ends at once, and pins them under files.
    ///
    /// - Returns: the init of a shared PID namespace, which stays; `nil` where there is none.
    func pinNamespaces(of pod: PodSandbox, hostname: String) async throws -> ProcessIdentity? {
        let types = Self.namespaceTypes(of: pod)
        guard !types.isEmpty else { return nil }
        var request = SandboxPlanRequest(
            id: pod.id, pins: types.map { ($0.type, layout.namespace($0.file, ofPod: pod.id)) })
        if types.contains(where: { $0.type == "uts" }) { request.hostname = hostname }
        request.sysctls = pod.config.sysctls
        if let user = pod.userNamespace {
            request.uidMappings = user.uids.map(RuntimeSpec.IDMapping.init)
            request.gidMappings = user.gids.map(RuntimeSpec.IDMapping.init)
        }
        let isShared = types.contains { $0.type == "pid" }
        if isShared {
            request.sharedPID = MonitorOptions(
                socket: layout.pod(pod.id).appending("monitor.sock"), exitPath: layout.pod(pod.id).appending("exit.pb"))
        }
        let launched = try await launcher.launch(try compiler.compileSandbox(request))
        try Failpoint.reach("pod.run.launched")
        guard isShared else { return nil }
        let process = ProcessIdentity(pid: launched.pid, startTime: launched.startTime)
        let path = cgroup(of: pod.id, in: pod)
        try await startUnit(of: path, around: launched.pid, resources: nil)
        do {
            let cgroup = Cgroup(host: facts.cgroups, path: path)
            try cgroup.create()
            try cgroup.add(pid: launched.pid)
        } catch {
            throw BerthError(.internal, "could not move the init of pod sandbox \(pod.id) to its cgroup", cause: error)
        }
        return process
    }

    /// Kills the init of a shared PID namespace, and with it everything in there.
    func endInit(of pod: PodSandbox) async {
        guard let process = registry.pod(exactly: pod.id)?.initProcess ?? pod.initProcess,
            let pidfd = try? Syscall.pidfdOpen(process.pid),
            ProcessStatus.isAlive(process.pid, startTime: process.startTime)
        else { return }
        defer { pidfd.close() }
        try? Syscall.pidfdSendSignal(pidfd.fd, 9)
        let monitor = MonitorClient(socket: layout.pod(pod.id).appending("monitor.sock"))
        let ended = Latch()
        let wait = Task {
            try? await Poller.shared.waitForExit(pidfd.fd)
            try? await monitor.waitForEnd()
            ended.open()
        }
        _ = await ended.wait(atMost: configuration.killTimeout)
        wait.cancel()
    }

    /// Whether everything that makes the pod run is there still.
    func namespacesAreThere(_ pod: PodSandbox) -> Bool {
        if let process = pod.initProcess, !ProcessStatus.isAlive(process.pid, startTime: process.startTime) {
            return false
        }
        let pins = Self.namespaceTypes(of: pod).map { layout.namespace($0.file, ofPod: pod.id) }
        guard Files.exists(layout.pod(pod.id)) else { return false }
        return pins.allSatisfy(Self.isPin)
    }

    /// A pin is a file of nsfs; without the mount it is an empty file on the state directory's filesystem.
    private static func isPin(_ path: FilePath) -> Bool {
        guard let file = try? Syscall.open(path, [.readOnly]) else { return false }
        defer { file.close() }
        return (try? Syscall.filesystemType(file.fd)) == nsfsMagic
    }
}

/// NSFS_MAGIC of linux/magic.h.
private let nsfsMagic: UInt64 = 0x6e73_6673
