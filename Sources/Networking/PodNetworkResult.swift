/// How a pod is connected: CNI's ADD result, whatever its version.
public struct PodNetworkResult: Codable, Hashable, Sendable {
    public struct Interface: Codable, Hashable, Sendable {
        public var name: String
        /// The MAC address as text; empty where the plugin does not tell.
        public var mac: String
        public var mtu: Int?
        /// Path of the namespace that holds the interface; `nil` for one of the host.
        public var sandbox: String?

        public init(name: String, mac: String = "", mtu: Int? = nil, sandbox: String? = nil) {
            self.name = name
            self.mac = mac
            self.mtu = mtu
            self.sandbox = sandbox
        }
    }

    public struct Route: Codable, Hashable, Sendable {
        public var destination: IPAddressPrefix
        public var gateway: IPAddress?

        public init(destination: IPAddressPrefix, gateway: IPAddress? = nil) {
            self.destination = destination
            self.gateway = gateway
        }
    }

    public var interfaces: [Interface]
    /// Addresses of the pod, the primary one first.
    public var addresses: [IPAddressPrefix]
    public var routes: [Route]
    public var dns: NetworkDNS

    public init(
        interfaces: [Interface] = [], addresses: [IPAddressPrefix] = [], routes: [Route] = [],
        dns: NetworkDNS = NetworkDNS()
    ) {
        self.interfaces = interfaces
        self.addresses = addresses
        self.routes = routes
        self.dns = dns
    }
}
