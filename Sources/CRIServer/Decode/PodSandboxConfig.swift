internal import CRIAPI
internal import Core
internal import Engine

extension PodSandboxConfig {
    init(_ wire: Runtime_V1_PodSandboxConfig) throws {
        guard wire.hasMetadata else { throw BerthError(.invalidArgument, "config.metadata is missing") }
        self.init(
            metadata: PodSandboxMetadata(
                name: try required(wire.metadata.name, field: "config.metadata.name"),
                uid: wire.metadata.uid, namespace: wire.metadata.namespace, attempt: wire.metadata.attempt))
        hostname = wire.hostname
        logDirectory = wire.logDirectory
        if wire.hasDnsConfig {
            dns = DNSConfig(
                servers: wire.dnsConfig.servers, searches: wire.dnsConfig.searches, options: wire.dnsConfig.options)
        }
        portMappings = try wire.portMappings.enumerated().map { index, mapping in
            try PodPortMapping(mapping, field: "config.port_mappings[\(index)]")
        }
        labels = wire.labels
        annotations = wire.annotations
        try refuseWindows(wire.hasWindows, field: "config.windows")
        guard wire.hasLinux else { return }
        cgroupParent = wire.linux.cgroupParent
        sysctls = wire.linux.sysctls
        security = try SandboxSecurityContext(wire.linux.securityContext)
        if wire.linux.hasOverhead { overhead = LinuxResources(wire.linux.overhead) }
        if wire.linux.hasResources { resources = LinuxResources(wire.linux.resources) }
    }
}

extension PodPortMapping {
    init(_ wire: Runtime_V1_PortMapping, field: String) throws {
        let transport: TransportProtocol
        switch wire.protocol {
        case .tcp: transport = .tcp
        case .udp: transport = .udp
        case .sctp: transport = .sctp
        case .UNRECOGNIZED(let value):
            throw BerthError.invalid(field: "\(field).protocol", value: value, rule: "must be TCP, UDP or SCTP")
        }
        guard let container = UInt16(exactly: wire.containerPort), container > 0 else {
            throw BerthError.invalid(
                field: "\(field).container_port", value: wire.containerPort, rule: "is not between 1 and 65535")
        }
        guard let host = UInt16(exactly: wire.hostPort) else {
            throw BerthError.invalid(
                field: "\(field).host_port", value: wire.hostPort, rule: "is not between 0 and 65535")
        }
        self.init(transport: transport, containerPort: container, hostPort: host, hostIP: wire.hostIp)
    }
}

extension SandboxSecurityContext {
    init(_ wire: Runtime_V1_LinuxSandboxSecurityContext) throws {
        let field = "config.linux.security_context"
        self.init()
        namespaces = try NamespaceOptions(wire.namespaceOptions, field: "\(field).namespace_options")
        if wire.hasSelinuxOptions { selinux = SELinuxOptions(wire.selinuxOptions) }
        if wire.hasRunAsUser { runAsUser = try userID(wire.runAsUser.value, field: "\(field).run_as_user") }
        if wire.hasRunAsGroup {
            guard wire.hasRunAsUser else {
                throw BerthError(.invalidArgument, "\(field).run_as_group is set without run_as_user")
            }
            runAsGroup = try userID(wire.runAsGroup.value, field: "\(field).run_as_group")
        }
        readonlyRootfs = wire.readonlyRootfs
        supplementalGroups = try wire.supplementalGroups.map { try userID($0, field: "\(field).supplemental_groups") }
        supplementalGroupsPolicy = try SupplementalGroupsPolicy(
            wire.supplementalGroupsPolicy, field: "\(field).supplemental_groups_policy")
        privileged = wire.privileged
        seccomp = try SecurityProfile.decode(
            wire.hasSeccomp ? wire.seccomp : nil, legacy: wire.seccompProfilePath, field: "\(field).seccomp")
        apparmor = try SecurityProfile.decode(
            wire.hasApparmor ? wire.apparmor : nil, legacy: "", field: "\(field).apparmor")
    }
}
