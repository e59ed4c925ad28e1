internal import Core

/// One pod's interface: the host's end and the pod's. Pure policy over a `NetworkScope`.
struct PodLink {
    let podID: String
    let interface: String

    /// `veth` and 11 digits made from the pod's ID: 15 characters, the kernel's limit.
    var hostName: String {
        let digits = String(StableHash.of(podID), radix: 16)
        return "veth" + (String(repeating: "0", count: 16 - digits.utf8.count) + digits).suffix(11)
    }

    /// Says on the host whose interface it is.
    var alias: String { Self.aliasPrefix + Ruleset.podKey(podID) }

    static let aliasPrefix = "berth pod "

    /// In the host's namespace: the pair, the host's end as an up port of the bridge.
    ///
    /// - Parameter namespace: descriptor of the pod's network namespace.
    func connect(
        _ scope: any NetworkScope, bridge: Int32, mtu: UInt32?, hairpin: Bool, namespace: Int32
    ) throws {
        // Left by an attempt that was killed half way, or by a pod of the same ID.
        try disconnect(scope)
        try scope.routing.perform(
            .addVeth(hostName, master: bridge, mtu: mtu, peer: interface, peerNamespace: namespace))
        do {
            try scope.routing.perform(
                .withoutLinkLocalAddress(hostName), .setAlias(hostName, alias), .setHairpin(hostName, hairpin),
                .setUp(hostName))
        } catch {
            try? disconnect(scope)
            throw error
        }
    }

    /// Deletes the pair, wherever the pod's end is.
    func disconnect(_ scope: any NetworkScope) throws {
        try scope.deleteLink(hostName)
    }

    /// In the pod's namespace: loopback and interface up, addresses and routes.
    ///
    /// - Returns: the interface's MAC address.
    func configure(
        _ scope: any NetworkScope, addresses: [IPAddressPrefix], routes: [PodNetworkResult.Route]
    ) throws -> Link {
        guard let link = try scope.routing.link(named: interface) else {
            throw BerthError.notFound("interface", "\(interface) of the pod \(podID)")
        }
        if addresses.contains(where: { $0.address.family == .v6 }) {
            // Else any pod on the bridge could be the others' router.
            try scope.setSysctl("ipv6/conf/\(interface)/accept_ra", "0")
        }
        try scope.routing.perform(
            [.setUp(Self.loopback, name: "lo"), .setUp(link.index, name: interface)]
                + addresses.map { .addAddress($0, to: link.index, name: interface) }
                + routes.map { .addRoute($0.destination, gateway: $0.gateway, link: link.index, name: interface) })
        return link
    }

    static func raiseLoopback(_ scope: any NetworkScope) throws {
        try scope.routing.perform(.setUp(loopback, name: "lo"))
    }

    /// In every network namespace (`LOOPBACK_IFINDEX`).
    private static let loopback: Int32 = 1

    /// - Throws: `BerthError` (`failedPrecondition`) that names what is missing on the host.
    func checkHost(_ scope: any NetworkScope, bridge: BridgeHost.Prepared) throws {
        guard let link = try scope.routing.link(named: hostName) else {
            throw BerthError(.failedPrecondition, "pod \(podID): interface \(hostName) is gone from the host")
        }
        guard link.master == bridge.index else {
            throw BerthError(
                .failedPrecondition, "pod \(podID): interface \(hostName) is no port of \(bridge.site.bridge)")
        }
        guard link.isUp else { throw BerthError(.failedPrecondition, "pod \(podID): interface \(hostName) is down") }
    }

    func checkPod(
        _ scope: any NetworkScope, addresses: [IPAddressPrefix], routes: [PodNetworkResult.Route]
    ) throws {
        guard let link = try scope.routing.link(named: interface), link.isUp else {
            throw BerthError(.failedPrecondition, "pod \(podID): interface \(interface) is missing or down")
        }
        let present = try scope.routing.addresses(of: link.index)
        for address in addresses where !present.contains(address) {
            throw BerthError(.failedPrecondition, "pod \(podID): \(interface) has lost its address \(address)")
        }
        let table = try scope.routing.routes()
        for route in routes {
            let isThere = table.contains {
                $0.destination == route.destination.network && $0.gateway == route.gateway && $0.link == link.index
            }
            guard isThere else {
                throw BerthError(.failedPrecondition, "pod \(podID): the route to \(route.destination) is gone")
            }
        }
    }
}
