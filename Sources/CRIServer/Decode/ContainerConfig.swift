internal import CRIAPI
internal import Core
internal import Engine

extension ContainerConfig {
    init(_ wire: Runtime_V1_ContainerConfig) throws {
        guard wire.hasMetadata else { throw BerthError(.invalidArgument, "config.metadata is missing") }
        guard wire.hasImage else { throw BerthError(.invalidArgument, "config.image is missing") }
        self.init(
            metadata: ContainerMetadata(
                name: try required(wire.metadata.name, field: "config.metadata.name"), attempt: wire.metadata.attempt),
            image: try ImageRequest(wire.image, field: "config.image"))
        command = wire.command
        arguments = wire.args
        workingDirectory = wire.workingDir
        environment = try wire.envs.enumerated().map { index, variable in
            guard let value = String(validating: variable.value, as: UTF8.self) else {
                throw BerthError.invalid(
                    field: "config.envs[\(index)]", value: variable.key, rule: "has a value that is not UTF-8")
            }
            return EnvironmentVariable(
                name: try required(variable.key, field: "config.envs[\(index)].key"), value: value)
        }
        mounts = try wire.mounts.enumerated().map { index, mount in
            try ContainerMount(mount, field: "config.mounts[\(index)]")
        }
        devices = try wire.devices.enumerated().map { index, device in
            let field = "config.devices[\(index)]"
            return ContainerDevice(
                containerPath: try required(device.containerPath, field: "\(field).container_path"),
                hostPath: try required(device.hostPath, field: "\(field).host_path"), permissions: device.permissions)
        }
        cdiDevices = wire.cdiDevices.map(\.name)
        labels = wire.labels
        annotations = wire.annotations
        logPath = wire.logPath
        stdin = wire.stdin
        stdinOnce = wire.stdinOnce
        terminal = wire.tty
        stopSignal = try StopSignal.number(of: wire.stopSignal)
        try refuseWindows(wire.hasWindows, field: "config.windows")
        guard wire.hasLinux else { return }
        if wire.linux.hasResources { resources = LinuxResources(wire.linux.resources) }
        security = try ContainerSecurityContext(wire.linux.securityContext)
    }
}

extension ImageRequest {
    init(_ wire: Runtime_V1_ImageSpec, field: String) throws {
        self.init(
            image: try required(wire.image, field: "\(field).image"), annotations: wire.annotations,
            userSpecifiedImage: wire.userSpecifiedImage, runtimeHandler: wire.runtimeHandler)
    }
}

extension ContainerMount {
    init(_ wire: Runtime_V1_Mount, field: String) throws {
        // A mount without host path whose image is empty means no image (cri-api: "image is empty").
        let isImage = wire.hasImage && !wire.image.image.isEmpty
        self.init(
            containerPath: try required(wire.containerPath, field: "\(field).container_path"),
            hostPath: isImage ? wire.hostPath : try required(wire.hostPath, field: "\(field).host_path"))
        if isImage {
            guard wire.hostPath.isEmpty else {
                throw BerthError(.invalidArgument, "\(field).host_path and \(field).image exclude each other")
            }
            image = try ImageRequest(wire.image, field: "\(field).image")
            // Kubelets set it for a sub-path of every kind of volume; what they mount of a directory is in host_path.
            imageSubPath = wire.imageSubPath.isEmpty ? nil : wire.imageSubPath
        }
        readonly = wire.readonly
        recursiveReadonly = wire.recursiveReadOnly
        selinuxRelabel = wire.selinuxRelabel
        switch wire.propagation {
        case .propagationPrivate: propagation = .private
        case .propagationHostToContainer: propagation = .hostToContainer
        case .propagationBidirectional: propagation = .bidirectional
        case .UNRECOGNIZED(let value):
            throw BerthError.invalid(field: "\(field).propagation", value: value, rule: "is not a known propagation")
        }
        if recursiveReadonly {
            guard readonly else {
                throw BerthError(.invalidArgument, "\(field).recursive_read_only is set without readonly")
            }
            guard propagation == .private else {
                throw BerthError(
                    .invalidArgument,
                    "\(field).recursive_read_only needs private propagation, not \(propagation.rawValue)")
            }
        }
        uidMappings = wire.uidMappings.map(IDMapping.init)
        gidMappings = wire.gidMappings.map(IDMapping.init)
        options = wire.mountOptions
    }
}

extension ContainerSecurityContext {
    init(_ wire: Runtime_V1_LinuxContainerSecurityContext) throws {
        let field = "config.linux.security_context"
        self.init()
        addCapabilities = wire.capabilities.addCapabilities
        dropCapabilities = wire.capabilities.dropCapabilities
        addAmbientCapabilities = wire.capabilities.addAmbientCapabilities
        privileged = wire.privileged
        namespaces = try NamespaceOptions(wire.namespaceOptions, field: "\(field).namespace_options")
        if wire.hasSelinuxOptions { selinux = SELinuxOptions(wire.selinuxOptions) }
        if wire.hasRunAsUser { runAsUser = try userID(wire.runAsUser.value, field: "\(field).run_as_user") }
        runAsUsername = wire.runAsUsername
        if wire.hasRunAsGroup {
            guard wire.hasRunAsUser || !wire.runAsUsername.isEmpty else {
                throw BerthError(
                    .invalidArgument, "\(field).run_as_group is set without run_as_user or run_as_username")
            }
            runAsGroup = try userID(wire.runAsGroup.value, field: "\(field).run_as_group")
        }
        readonlyRootfs = wire.readonlyRootfs
        supplementalGroups = try wire.supplementalGroups.map { try userID($0, field: "\(field).supplemental_groups") }
        supplementalGroupsPolicy = try SupplementalGroupsPolicy(
            wire.supplementalGroupsPolicy, field: "\(field).supplemental_groups_policy")
        noNewPrivileges = wire.noNewPrivs
        maskedPaths = wire.maskedPaths
        readonlyPaths = wire.readonlyPaths
        seccomp = try SecurityProfile.decode(
            wire.hasSeccomp ? wire.seccomp : nil, legacy: wire.seccompProfilePath, field: "\(field).seccomp")
        apparmor = try SecurityProfile.decode(
            wire.hasApparmor ? wire.apparmor : nil, legacy: wire.apparmorProfile, field: "\(field).apparmor")
    }
}
