/// What a client asks a pod sandbox to be (CRI `PodSandboxConfig`, without its wire types). Stored with the pod.
public struct PodSandboxConfig: Codable, Sendable, Equatable {
    public var metadata: PodSandboxMetadata
    /// Empty for the name of the host where the pod has the host's network, and for the pod's own short ID otherwise.
    public var hostname = ""
    /// Host directory of the containers' log files; empty for no logs.
    public var logDirectory = ""
    /// `nil` for a copy of the host's resolv.conf.
    public var dns: DNSConfig?
    public var portMappings: [PodPortMapping] = []
    public var labels: [String: String] = [:]
    public var annotations: [String: String] = [:]
    /// Path below the cgroup root, as the kubelet made it; empty for the configured default parent.
    public var cgroupParent = ""
    public var sysctls: [String: String] = [:]
    public var security = SandboxSecurityContext()
    public var overhead: LinuxResources?
    public var resources: LinuxResources?

    public init(metadata: PodSandboxMetadata) {
        self.metadata = metadata
    }
}

public struct PodSandboxMetadata: Codable, Sendable, Hashable {
    public var name: String
    public var uid: String
    public var namespace: String
    public var attempt: UInt32

    public init(name: String, uid: String, namespace: String, attempt: UInt32 = 0) {
        self.name = name
        self.uid = uid
        self.namespace = namespace
        self.attempt = attempt
    }

    /// The name that only one living sandbox may hold.
    public var reservedName: String { "\(name)_\(namespace)_\(uid)_\(attempt)" }
}

public struct DNSConfig: Codable, Sendable, Equatable {
    public var servers: [String]
    public var searches: [String]
    public var options: [String]

    public init(servers: [String] = [], searches: [String] = [], options: [String] = []) {
        self.servers = servers
        self.searches = searches
        self.options = options
    }
}

public struct PodPortMapping: Codable, Sendable, Equatable {
    public enum TransportProtocol: String, Codable, Sendable {
        case tcp, udp, sctp
    }

    public var transport: TransportProtocol
    public var containerPort: UInt16
    /// 0 where the port is only declared, not mapped.
    public var hostPort: UInt16
    /// Empty for every address of the host.
    public var hostIP: String

    public init(transport: TransportProtocol, containerPort: UInt16, hostPort: UInt16, hostIP: String = "") {
        self.transport = transport
        self.containerPort = containerPort
        self.hostPort = hostPort
        self.hostIP = hostIP
    }
}

public struct SandboxSecurityContext: Codable, Sendable, Equatable {
    public var namespaces = NamespaceOptions()
    public var selinux: SELinuxOptions?
    public var runAsUser: Int64?
    public var runAsGroup: Int64?
    public var readonlyRootfs = false
    public var supplementalGroups: [Int64] = []
    public var supplementalGroupsPolicy = SupplementalGroupsPolicy.merge
    public var privileged = false
    public var seccomp: SecurityProfile?
    public var apparmor: SecurityProfile?

    public init() {}
}
