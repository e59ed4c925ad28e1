/// What the built-in network makes: one bridge of this host, with addresses from host-local ranges.
public struct BuiltinNetworkConfiguration: Hashable, Sendable {
    public struct Route: Hashable, Sendable {
        public var destination: IPAddressPrefix
        /// `nil` for the gateway of the pod's range.
        public var gateway: IPAddress?

        public init(destination: IPAddressPrefix, gateway: IPAddress? = nil) {
            self.destination = destination
            self.gateway = gateway
        }
    }

    /// Where the bridge and the ranges come from.
    public enum Placement: Hashable, Sendable {
        /// The first of `berth0` with 10.85.0.0/16, `berth1` with 10.86.0.0/16, ... that no route of the host overlaps and
        /// no other daemon of the host has.
        case automatic
        /// As configured; what stands in the way is an error.
        case fixed(bridge: String, ranges: [[AddressRange]])
    }

    /// Name of the network, and of its directory of leases.
    public var name: String
    public var placement: Placement
    /// `nil` for that of the interface with the host's default route.
    public var mtu: Int?
    /// The bridge has the gateway's address and is the pods' next hop.
    public var isGateway: Bool
    /// Pods reach other networks with the host's address.
    public var masquerade: Bool
    public var hairpin: Bool
    /// `nil` for a default route for each family of the ranges (if `isGateway`).
    public var routes: [Route]?
    public var dns: NetworkDNS
    public var portMappings: Bool

    public init(
        name: String = "berth", placement: Placement = .automatic, mtu: Int? = nil, isGateway: Bool = true,
        masquerade: Bool = true, hairpin: Bool = true, routes: [Route]? = nil, dns: NetworkDNS = NetworkDNS(),
        portMappings: Bool = true
    ) {
        self.name = name
        self.placement = placement
        self.mtu = mtu
        self.isGateway = isGateway
        self.masquerade = masquerade
        self.hairpin = hairpin
        self.routes = routes
        self.dns = dns
        self.portMappings = portMappings
    }
}

extension BuiltinNetworkConfiguration {
    private static let automaticSubnets =
        (85...92).map { "10.\($0).0.0/16" } + (24...27).map { "172.\($0).0.0/16" }
        + (85...88).map { "192.168.\($0).0/24" }

    /// `sites()` with the addresses that the node has of its cluster, on any of the bridges that `automatic` makes.
    func sites(podCIDRs cidrs: [IPAddressPrefix]) throws -> [BridgeSite] {
        guard placement == .automatic, !cidrs.isEmpty else { return try sites() }
        return try Self.automaticSubnets.indices.map { number in
            try BridgeSite(
                bridge: "berth\(number)", ranges: cidrs.map { [AddressRange(subnet: $0.network)] })
        }
    }

    /// Where `placement` may put the network, in order of preference.
    func sites() throws -> [BridgeSite] {
        switch placement {
        case .fixed(let bridge, let ranges):
            return [try BridgeSite(bridge: bridge, ranges: ranges)]
        case .automatic:
            return try Self.automaticSubnets.enumerated().map { number, subnet in
                try BridgeSite(
                    bridge: "berth\(number)", ranges: [[AddressRange(subnet: IPAddressPrefix(subnet))]])
            }
        }
    }
}

/// A bridge and the ranges of its pods.
struct BridgeSite: Equatable {
    let bridge: String
    /// A pod gets one address of each.
    let pools: [AddressPool]

    init(bridge: String, ranges: [[AddressRange]]) throws {
        self.bridge = bridge
        pools = try ranges.enumerated().map { number, set in
            try AddressPool(
                ranges: set.enumerated().map { index, range in
                    try AddressPool.Range(range, path: "ranges[\(number)][\(index)]")
                })
        }
    }

    var subnets: [IPAddressPrefix] { pools.flatMap { $0.ranges.map(\.subnet) } }

    /// The addresses of the bridge.
    var gateways: [IPAddressPrefix] {
        pools.flatMap { $0.ranges.compactMap { try? IPAddressPrefix($0.gateway, length: $0.subnet.length) } }
    }

    var families: Set<IPAddress.Family> { Set(subnets.map(\.address.family)) }
}
