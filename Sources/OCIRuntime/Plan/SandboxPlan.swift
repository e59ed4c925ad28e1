internal import Core
public import LaunchAPI
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// The namespaces of a pod, pinned under files so that they live without a process.
public struct SandboxPlanRequest: Sendable {
    public var id: String
    /// By type name of the runtime specification (`network`, `ipc`, `uts`, `user`, `pid`): the file for each.
    public var pins: [(type: String, path: FilePath)]
    public var hostname: String?
    /// Names with dots, as in the runtime specification.
    public var sysctls: [String: String]
    public var uidMappings: [RuntimeSpec.IDMapping]
    public var gidMappings: [RuntimeSpec.IDMapping]
    /// The pod's cgroup; `nil`: none is made.
    public var cgroupPath: String?
    public var resources: RuntimeSpec.Linux.Resources?
    public var cgroupSurvey: CgroupSurvey?
    /// A PID namespace that the pod's containers share: its init stays, with this monitor.
    public var sharedPID: MonitorOptions?

    public init(id: String, pins: [(type: String, path: FilePath)]) {
        self.id = id
        self.pins = pins
        sysctls = [:]
        uidMappings = []
        gidMappings = []
    }
}

extension PlanCompiler {
    /// The plan of a pod's sandbox: a process that makes the namespaces and ends, or stays as init of a shared PID
    /// namespace.
    public func compileSandbox(_ request: SandboxPlanRequest) throws -> Berth_Launch_V1_Plan {
        var steps = PlanBuilder()
        var flags: NamespaceTypes = request.sharedPID == nil ? [] : .pid
        var types: [(NamespaceTypes, FilePath)] = []
        for (name, path) in request.pins {
            guard let type = NamespaceTypes(specName: name), type != .mount, type != .cgroup else {
                throw BerthError.invalid(field: "pod namespace", value: name, rule: "cannot be pinned")
            }
            types.append((type, path))
            flags.insert(type)
        }
        try makeCgroup(request, &steps)
        steps.host("clone the sandbox's process", .clone(.with { $0.flags = UInt64(flags.rawValue) }))
        if flags.contains(.user) {
            guard !request.uidMappings.isEmpty, !request.gidMappings.isEmpty else {
                throw BerthError(
                    .invalidArgument, "pod \(request.id): a user namespace needs mappings of uids and gids")
            }
            steps.host(
                "map ids",
                .mapIds(
                    .with {
                        $0.uids = request.uidMappings.map(\.message)
                        $0.gids = request.gidMappings.map(\.message)
                    }))
        }
        if flags.contains(.network) { steps.child("bring up lo", .bringUpLoopback(.init())) }
        if let hostname = request.hostname, flags.contains(.uts) {
            steps.child("set the hostname to \(hostname)", .setHostname(.with { $0.name = hostname }))
        }
        for (name, value) in request.sysctls.sorted(by: { $0.key < $1.key }) {
            try checkSysctl(name, flags)
            let path = String(RuntimeSpec.normalizedSysctl(name).map { $0 == "." ? "/" : $0 == "/" ? "." : $0 })
            steps.child(
                "set sysctl \(name) to \(value)",
                .sysctl(
                    .with {
                        $0.name = path
                        $0.value = value
                    }))
        }
        for (type, path) in types {
            steps.host(
                "pin the \(type.name) namespace at \(path)",
                .pinNamespace(
                    .with {
                        $0.type = type.rawValue
                        $0.path = path.string
                    }))
        }
        if request.sharedPID != nil {
            steps.child("start a session", .newSession(.init()))
            steps.child("close descriptors", .closeDescriptors(.with { $0.first = 3 }))
        }
        steps.child(
            request.sharedPID == nil ? "end" : "be the pod's init", .hold(.with { $0.exit = request.sharedPID == nil }))

        var plan = steps.plan(id: request.id)
        if let monitor = request.sharedPID {
            plan.monitor = .with {
                $0.socket = monitor.socket.string
                $0.exitPath = monitor.exitPath.string
            }
        }
        return plan
    }

    private func makeCgroup(_ request: SandboxPlanRequest, _ steps: inout PlanBuilder) throws {
        guard let path = request.cgroupPath else { return }
        let cgroup = try ContainerCgroup(host: facts.cgroups, path: path, id: request.id)
        try CgroupSteps(facts: facts, cgroup: cgroup, survey: request.cgroupSurvey).create(&steps)
        for write in try ResourceWrites.compile(request.resources ?? .init(), on: facts.cgroups) {
            guard let directory = cgroup.cgroup.directory(of: write.controller) else { continue }
            steps.host("set \(write.file) to \(write.value)", .writeFile(write.message(in: directory.path)))
        }
    }

    /// The rules of the runtime specification, for the namespaces that the pod has.
    private func checkSysctl(_ name: String, _ flags: NamespaceTypes) throws {
        var spec = RuntimeSpec()
        spec.root = .init(path: "/")
        var linux = RuntimeSpec.Linux()
        linux.sysctl = [name: ""]
        linux.namespaces = NamespaceTypes.bySpecName.filter { flags.contains($0.1) && $0.0 != "user" }
            .map { .init(type: $0.0) }
        spec.linux = linux
        try spec.validate()
    }
}
