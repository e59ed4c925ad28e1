public import SystemPackage

/// A pod to connect. `tearDown` and `check` take the request that `setUp` got; `tearDown` makes do with `podID` alone.
public struct PodNetworkRequest: Codable, Hashable, Sendable {
    /// The sandbox's ID; CNI's container ID.
    public var podID: String
    /// Name, namespace and UID of the Kubernetes pod; empty where there is none.
    public var name: String
    public var namespace: String
    public var uid: String
    /// Where the pod's network namespace is pinned.
    public var networkNamespace: FilePath
    public var portMappings: [PortMapping]
    public var bandwidth: Bandwidth?
    /// Resolver settings of the pod, for plugins with the `dns` capability.
    public var dns: NetworkDNS
    /// Ranges to allocate from instead of the configured ones, for plugins with the `ipRanges` capability.
    public var ipRanges: [[AddressRange]]
    /// Cgroup of the pod, for plugins with the `cgroupPath` capability.
    public var cgroupPath: String?
    public var interfaceName: String

    public init(
        podID: String, name: String = "", namespace: String = "", uid: String = "", networkNamespace: FilePath = "",
        portMappings: [PortMapping] = [], bandwidth: Bandwidth? = nil, dns: NetworkDNS = NetworkDNS(),
        ipRanges: [[AddressRange]] = [], cgroupPath: String? = nil, interfaceName: String = "eth0"
    ) {
        self.podID = podID
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.networkNamespace = networkNamespace
        self.portMappings = portMappings
        self.bandwidth = bandwidth
        self.dns = dns
        self.ipRanges = ipRanges
        self.cgroupPath = cgroupPath
        self.interfaceName = interfaceName
    }
}

/// A port of the host that leads to a port of the pod.
public struct PortMapping: Codable, Hashable, Sendable {
    public enum TransportProtocol: String, Codable, Sendable, CaseIterable {
        case tcp
        case udp
        case sctp
    }

    public var hostPort: UInt16
    public var containerPort: UInt16
    public var `protocol`: TransportProtocol
    /// The host's address to listen at; `nil` or unspecified for every address of the host.
    public var hostIP: IPAddress?

    public init(
        hostPort: UInt16, containerPort: UInt16, protocol: TransportProtocol = .tcp, hostIP: IPAddress? = nil
    ) {
        self.hostPort = hostPort
        self.containerPort = containerPort
        self.protocol = `protocol`
        self.hostIP = hostIP
    }
}

extension PortMapping: CustomStringConvertible {
    public var description: String {
        let host = hostIP.map { $0.family == .v6 ? "[\($0)]:" : "\($0):" } ?? ""
        return "\(host)\(hostPort)/\(`protocol`.rawValue)"
    }
}

/// Traffic limits; rates in bits per second, bursts in bits (CNI conventions, "bandwidth").
public struct Bandwidth: Codable, Hashable, Sendable {
    public var ingressRate: UInt64?
    public var ingressBurst: UInt64?
    public var egressRate: UInt64?
    public var egressBurst: UInt64?

    public init(
        ingressRate: UInt64? = nil, ingressBurst: UInt64? = nil, egressRate: UInt64? = nil, egressBurst: UInt64? = nil
    ) {
        self.ingressRate = ingressRate
        self.ingressBurst = ingressBurst
        self.egressRate = egressRate
        self.egressBurst = egressBurst
    }
}

public struct NetworkDNS: Codable, Hashable, Sendable {
    public var servers: [String]
    public var searches: [String]
    public var options: [String]
    public var domain: String?

    public init(
        servers: [String] = [], searches: [String] = [], options: [String] = [], domain: String? = nil
    ) {
        self.servers = servers
        self.searches = searches
        self.options = options
        self.domain = domain
    }

    public var isEmpty: Bool { servers.isEmpty && searches.isEmpty && options.isEmpty && domain == nil }
}

/// Addresses to allocate from: a subnet, or a part of it.
public struct AddressRange: Codable, Hashable, Sendable {
    public var subnet: IPAddressPrefix
    /// First and last address to give out; by default all of the subnet but its network, gateway and broadcast address.
    public var rangeStart: IPAddress?
    public var rangeEnd: IPAddress?
    /// By default the subnet's first host address.
    public var gateway: IPAddress?

    public init(
        subnet: IPAddressPrefix, rangeStart: IPAddress? = nil, rangeEnd: IPAddress? = nil, gateway: IPAddress? = nil
    ) {
        self.subnet = subnet
        self.rangeStart = rangeStart
        self.rangeEnd = rangeEnd
        self.gateway = gateway
    }
}
