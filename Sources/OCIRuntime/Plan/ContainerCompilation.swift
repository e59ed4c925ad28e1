internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// One compilation of a container's plan. The steps of each stage are in the extensions.
struct ContainerCompilation {
    let facts: HostFacts
    let spec: RuntimeSpec
    let process: RuntimeSpec.Process
    let options: CompileOptions
    let rootfs: FilePath
    let cgroup: ContainerCgroup
    let namespaces: NamespacePlan
    var steps = PlanBuilder()
    /// The mount namespace that the container's is a copy of; `nil`: the host's.
    lazy var baseMounts = usableBaseMounts()

    var linux: RuntimeSpec.Linux { spec.linux ?? RuntimeSpec.Linux() }

    init(facts: HostFacts, spec: RuntimeSpec, process: RuntimeSpec.Process, options: CompileOptions) throws {
        self.facts = facts
        self.spec = spec
        self.process = process
        self.options = options
        rootfs = try options.rootfs ?? Self.rootPath(spec, bundle: options.bundle)
        cgroup = try ContainerCgroup(host: facts.cgroups, path: spec.linux?.cgroupsPath, id: options.id)
        namespaces = NamespacePlan(spec.linux?.namespaces ?? [])
    }

    private static func rootPath(_ spec: RuntimeSpec, bundle: FilePath) throws -> FilePath {
        guard let root = spec.root else { throw BerthError(.invalidArgument, "config.json: root: is missing") }
        let path = FilePath(root.path)
        return (path.isAbsolute ? path : bundle.pushing(path)).lexicallyNormalized()
    }

    /// The stages, in the order that the kernel asks for:
    ///
    ///     host   cgroup and its limits; PID and time namespaces that are joined
    ///     host   clone; id mappings; OOM score
    ///     child  cgroups, other namespaces; root, mounts, devices; terminal
    ///     child  host and domain name, sysctls
    ///     host   hooks of the runtime's namespaces; child: createContainer hooks
    ///     child  masks, pivot_root; limits, user, capabilities, seccomp
    ///     child  wait for start; startContainer hooks; exec
    mutating func run() throws -> Berth_Launch_V1_Plan {
        try refuseUnsupported(spec)
        try createCgroup()
        let resctrl = try Resctrl(spec.linux, id: options.id, mountpoint: facts.resctrl)
        try resctrl?.prepare(&steps)
        try makeProcess()
        resctrl?.join(&steps)
        joinNamespaces()
        setTimeOffsets()
        try moveDevices()
        try prepareRoot()
        try mountAll()
        try makeDevices()
        makeTerminal()
        protectDevices()
        nameHost()
        setSysctls()
        makeWorkingDirectory()
        runHooks()
        protectPaths()
        enterRoot()
        let own = ProcessSteps(facts: facts, process: process, linux: spec.linux, options: options)
        try own.prepare(&steps, isExec: false)
        try own.confine(&steps, waiting: waitStep, startHooks: startHooks)

        var plan = steps.plan(id: options.id)
        if let monitor = options.monitor { plan.monitor = monitorMessage(monitor) }
        if let stdio = options.stdio { plan.stdio = stdio.message(terminal: process.terminal == true) }
        return plan
    }

    private func monitorMessage(_ monitor: MonitorOptions) -> Berth_Launch_V1_Monitor {
        var message = Berth_Launch_V1_Monitor()
        message.socket = monitor.socket.string
        message.exitPath = monitor.exitPath.string
        if let memory = cgroup.cgroup.directory(of: "memory") {
            message.oomPath =
                memory.path.appending(memory.hierarchy.isUnified ? "memory.events" : "memory.oom_control").string
        }
        message.cgroup = cgroup.cgroup.listingDirectory?.string ?? ""
        return message
    }

    private var waitStep: Berth_Launch_V1_WaitForStart? {
        switch options.start {
        case .immediately: nil
        case .onMonitorRequest(let programMayBeMissing): .with { $0.programMayBeMissing = programMayBeMissing }
        case .onFIFO(let fifo): .with { $0.fifo = fifo.string }
        }
    }

    // MARK: Namespaces

    private mutating func makeProcess() throws {
        for (type, path) in namespaces.joinedByHost {
            steps.host("join the \(type.name) namespace of \(path)", .joinNamespace(Self.join(type, path)))
        }
        let joins = namespaces.joinedByCloner(asRoot: facts.effectiveUserID == 0)
        var flags = namespaces.new.subtracting(.cgroup)
        if baseMounts != nil { flags.remove(.mount) }
        // The child makes these after it has joined the user namespace, so that they belong to it.
        if namespaces.joinsUser { flags.formIntersection([.pid, .time]) }
        if setsTimeOffsets { flags.remove(.time) }
        let names = joins.map(\.0.name)
        let place = names.isEmpty ? "" : " in the \(names.joined(separator: ", ")) namespaces that it joins"
        steps.host(
            "clone the container's process" + place,
            .clone(
                .with {
                    $0.flags = UInt64(flags.rawValue)
                    $0.cgroup = cgroup.cgroup.unifiedDirectory?.string ?? ""
                    $0.sibling = options.sibling
                    $0.joins = joins.map { Self.join($0.0, $0.1) }
                    $0.dumpable = isOfAnOrdinaryUser && !namespaces.joinsAny
                }))
        if namespaces.new.contains(.user) {
            steps.host("map ids", .mapIds(try facts.idMapping(linux)))
        }
        if let score = process.oomScoreAdj {
            steps.host("set the OOM score to \(score)", .setOomScore(.with { $0.score = Int32(score) }))
        }
        if namespaces.isNewOrJoined(.user) { joinCgroups(asChild: false) }
    }

    private mutating func joinNamespaces() {
        if !namespaces.isNewOrJoined(.user) { joinCgroups(asChild: true) }
        // Whoever called had its own reasons to be bound to some CPUs; the container has its cpuset.
        steps.child("run on every CPU of the cpuset", .setCpuAffinity(.init()))
        if namespaces.joinsUser {
            // It came into the user namespace with the host's ids, which have no name there.
            steps.child("become root of the user namespace", .setUser(.init()))
        }
        for (type, path) in namespaces.joinedByChild {
            steps.child("join the \(type.name) namespace of \(path)", .joinNamespace(Self.join(type, path)))
        }
        var late: NamespaceTypes = namespaces.new.intersection(.cgroup)
        if namespaces.joinsUser { late.formUnion(namespaces.new.subtracting([.pid, .time])) }
        if !late.isEmpty {
            steps.child("make the \(late.names) namespaces", .unshare(.with { $0.flags = UInt64(late.rawValue) }))
        }
        if namespaces.new.contains(.network) {
            steps.child("bring up lo", .bringUpLoopback(.init()))
        }
    }

    private static func join(_ type: NamespaceTypes, _ path: String) -> Berth_Launch_V1_JoinNamespace {
        .with {
            $0.type = type.rawValue
            $0.path = path
        }
    }

    private var setsTimeOffsets: Bool {
        namespaces.new.contains(.time) && linux.timeOffsets?.isEmpty == false
    }

    /// Who has no rights of root's looks into his containers as the user that he is.
    private var isOfAnOrdinaryUser: Bool { facts.effectiveUserID != 0 }

    /// Offsets are set while nobody is in the namespace: the child makes it, the host writes, the child enters. The file
    /// of an ordinary user's container is the container's root's.
    private mutating func setTimeOffsets() {
        guard setsTimeOffsets, let offsets = linux.timeOffsets else { return }
        steps.child("make the time namespace", .unshare(.with { $0.flags = UInt64(NamespaceTypes.time.rawValue) }))
        let words = "set the offsets of its clocks"
        let action = Berth_Launch_V1_SetTimeOffsets.with {
            $0.offsets = offsets.sorted(by: { $0.key < $1.key }).map { clock, offset in
                .with {
                    $0.clock = clock
                    $0.seconds = offset.secs ?? 0
                    $0.nanoseconds = offset.nanosecs ?? 0
                }
            }
        }
        if isOfAnOrdinaryUser {
            steps.child(words, .setTimeOffsets(action))
        } else {
            steps.host(words, .setTimeOffsets(action))
        }
        steps.child("enter the time namespace", .enterTimeNamespace(.init()))
    }

    private mutating func moveDevices() throws {
        guard let devices = spec.linux?.netDevices, !devices.isEmpty else { return }
        guard namespaces.isNewOrJoined(.network) else {
            throw BerthError(
                .invalidArgument, "config.json: linux.netDevices: needs a network namespace in linux.namespaces")
        }
        for (name, device) in devices {
            for given in [name, device.name ?? name] where !Self.isDeviceName(given) {
                throw BerthError.invalid(
                    field: "config.json: linux.netDevices", value: given.prefix(64),
                    rule: "is no name of a network device")
            }
        }
        steps.host(
            "move the network devices \(devices.keys.sorted().joined(separator: ", "))",
            .moveLinks(.with { $0.names = devices.mapValues { $0.name ?? "" } }))
    }

    /// dev_valid_name() of the kernel: 1 to 15 bytes, no slash, colon or white space, not a dot directory.
    private static func isDeviceName(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && name != "." && name != ".."
            && !name.utf8.contains { $0 == 0x2f || $0 == 0x3a || $0 <= 0x20 || $0 == 0x7f }
    }

    private mutating func nameHost() {
        if let name = spec.hostname, !name.isEmpty {
            steps.child("set the hostname to \(name)", .setHostname(.with { $0.name = name }))
        }
        if let name = spec.domainname, !name.isEmpty {
            steps.child("set the domainname to \(name)", .setDomainname(.with { $0.name = name }))
        }
    }

    private mutating func setSysctls() {
        for (written, value) in (linux.sysctl ?? [:]).sorted(by: { $0.key < $1.key }) {
            // A dot within a component stands as a slash in the normalized name: `net.ipv4.conf.eth0/1.forwarding`.
            let path = String(RuntimeSpec.normalizedSysctl(written).map { $0 == "." ? "/" : $0 == "/" ? "." : $0 })
            steps.child(
                "set sysctl \(written) to \(value)",
                .sysctl(
                    .with {
                        $0.name = path
                        $0.value = value
                    }))
        }
    }

    // MARK: Terminal

    private mutating func makeTerminal() {
        steps.child("start a session", .newSession(.init()))
        guard process.terminal == true else { return }
        steps.child(
            "make the terminal",
            .setupTerminal(
                .with {
                    $0.width = process.consoleSize?.width ?? 0
                    $0.height = process.consoleSize?.height ?? 0
                    $0.consoleSocket = options.consoleSocket?.string ?? ""
                    $0.plainLineEnds = options.plainLineEnds
                }))
        steps.child("bind the terminal on /dev/console", .bindConsole(.init()))
    }

    // MARK: Hooks

    private mutating func runHooks() {
        for (index, hook) in (spec.hooks?.prestart ?? []).enumerated() {
            steps.host("run prestart hook #\(index): \(hook.path)", .runHook(message(hook)))
        }
        for (index, hook) in (spec.hooks?.createRuntime ?? []).enumerated() {
            steps.host("run createRuntime hook #\(index): \(hook.path)", .runHook(message(hook)))
        }
        for (index, hook) in (spec.hooks?.createContainer ?? []).enumerated() {
            steps.child("run createContainer hook #\(index): \(hook.path)", .runHook(message(hook)))
        }
    }

    private var startHooks: [(String, Berth_Launch_V1_RunHook)] {
        (spec.hooks?.startContainer ?? []).enumerated().map { index, hook in
            var step = message(hook, .created)
            // One that names none has the environment of the process, as it always had with runc.
            step.inheritEnvironment = hook.env == nil
            return ("run startContainer hook #\(index): \(hook.path)", step)
        }
    }

    private func message(_ hook: RuntimeSpec.Hook, _ status: ContainerState.Status = .creating)
        -> Berth_Launch_V1_RunHook
    {
        var message = Berth_Launch_V1_RunHook()
        message.path = hook.path
        message.args = hook.args ?? [hook.path]
        message.env = hook.env ?? []
        message.timeout = UInt32(clamping: hook.timeout ?? 0)
        // The state document with a hole for the PID, which only the launcher knows.
        let marker: Int32 = 0x7fff_fff1
        let state = ContainerState(
            id: options.id, status: status, pid: marker, bundle: options.bundle.string, annotations: spec.annotations)
        let text = String(decoding: (try? StrictJSON.encode(state)) ?? [], as: UTF8.self)
        if let range = text.ranges(of: "\"pid\":\(marker)").first {
            message.stateBeforePid = Array((text[..<range.lowerBound] + "\"pid\":").utf8).data
            message.stateAfterPid = Array(text[range.upperBound...].utf8).data
        }
        return message
    }
}

extension StdioOptions {
    func message(terminal: Bool) -> Berth_Launch_V1_Stdio {
        var message = Berth_Launch_V1_Stdio()
        message.terminal = terminal
        message.stdin = stdin
        message.stdinOnce = stdinOnce
        message.logPath = logPath?.string ?? ""
        message.maxLine = maxLine
        return message
    }
}

extension RuntimeSpec.IDMapping {
    var message: Berth_Launch_V1_IDMap {
        .with {
            $0.container = containerID
            $0.host = hostID
            $0.size = size
        }
    }
}
