internal import Engine
internal import NRIAPI
internal import OCISpec

extension NRIContainer {
    /// - Parameter spec: what it is made of; `nil` where that is not known any more.
    init(_ container: Container, _ spec: RuntimeSpec?) {
        self.init()
        id = container.id
        podSandboxID = container.podID
        name = container.config.metadata.name
        labels = container.labels
        annotations = (spec?.annotations ?? [:]).merging(container.config.annotations) { $1 }
        pid = UInt32(clamping: container.process?.pid ?? 0)
        createdAt = container.createdAt
        setState(of: container)
        cdiDevices = container.config.cdiDevices.map { name in NRICDIDevice.with { $0.name = name } }
        if let user = container.user { self.user = NRIUser(user) }
        image.name =
            container.config.image.userSpecifiedImage.isEmpty
            ? container.config.image.image : container.config.image.userSpecifiedImage
        image.digest = container.imageReference.split(separator: "@").last.map(String.init) ?? ""
        image.configDigest = container.imageID
        if let spec { setSpecification(spec, container) }
    }

    private mutating func setState(of container: Container) {
        switch container.state {
        case .creating: self.state = .containerUnknown
        case .created: self.state = .containerCreated
        case .running(let at):
            self.state = .containerRunning
            startedAt = at
        case .exited, .removing: self.state = .containerStopped
        }
        guard let exit = container.state.exit else { return }
        startedAt = exit.startedAt
        finishedAt = exit.finishedAt
        exitCode = exit.code
        statusReason = exit.reason
        statusMessage = exit.message
    }

    private mutating func setSpecification(_ spec: RuntimeSpec, _ container: Container) {
        args = spec.process?.args ?? []
        env = spec.process?.env ?? []
        mounts = (spec.mounts ?? []).map(NRIMount.init)
        if let hooks = spec.hooks { self.hooks = NRIHooks(hooks) }
        rlimits = (spec.process?.rlimits ?? []).map(NRIPOSIXRlimit.init)
        if let process = spec.process?.user { user = NRIUser(process) }
        linux = NRILinuxContainer(spec)
        switch container.config.security.seccomp {
        case nil: break
        case .runtimeDefault: linux.seccompProfile.profileType = .runtimeDefault
        case .unconfined: linux.seccompProfile.profileType = .unconfined
        case .localhost(let name):
            linux.seccompProfile.profileType = .localhost
            linux.seccompProfile.localhostRef = name
        }
    }
}

extension NRIUser {
    init(_ user: ContainerUser) {
        self.init()
        uid = user.uid
        gid = user.gid
        additionalGids = user.additionalGIDs
    }

    init(_ user: RuntimeSpec.Process.User) {
        self.init()
        uid = user.uid
        gid = user.gid
        additionalGids = user.additionalGids ?? []
    }
}

extension NRILinuxContainer {
    init(_ spec: RuntimeSpec) {
        self.init()
        let linux = spec.linux ?? RuntimeSpec.Linux()
        namespaces = (linux.namespaces ?? []).map { NRILinuxNamespace(type: $0.type, path: $0.path ?? "") }
        devices = (linux.devices ?? []).map(NRILinuxDevice.init)
        if let limits = linux.resources { resources = NRILinuxResources(limits) }
        if let score = spec.process?.oomScoreAdj { oomScoreAdj.value = Int64(score) }
        cgroupsPath = linux.cgroupsPath ?? ""
        if let priority = spec.process?.ioPriority { ioPriority = NRILinuxIOPriority(priority) }
        if let seccomp = linux.seccomp { seccompPolicy = NRILinuxSeccomp(seccomp) }
        sysctl = linux.sysctl ?? [:]
        netDevices = (linux.netDevices ?? [:]).mapValues { device in
            NRILinuxNetDevice.with { $0.name = device.name ?? "" }
        }
        if let scheduler = spec.process?.scheduler { self.scheduler = NRILinuxScheduler(scheduler) }
        guard let rdt = linux.intelRdt else { return }
        if let id = rdt.closID { self.rdt.closID.value = id }
        if let schemata = rdt.schemata { self.rdt.schemata.value = schemata }
        if let monitoring = rdt.enableMonitoring { self.rdt.enableMonitoring.value = monitoring }
    }
}

extension NRILinuxNamespace {
    init(type: String, path: String) {
        self.init()
        self.type = type
        self.path = path
    }
}
