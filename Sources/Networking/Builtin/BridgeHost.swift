internal import Core
internal import SystemPackage

/// The host's side of the built-in network: the bridge, forwarding and the nft table. Pure policy over a `NetworkScope`.
struct BridgeHost {
    let configuration: BuiltinNetworkConfiguration
    /// The state directory: the bridge's alias says whose it is, so that two daemons do not give out the same addresses.
    let owner: String
    /// Those that the node has of its cluster, where the configuration leaves the choice.
    var podCIDRs: [IPAddressPrefix] = []

    struct Prepared: Equatable, Sendable {
        var site: BridgeSite
        var index: Int32
        var mtu: UInt32?
        /// Why there is no masquerade and no host port; `nil` where nft works.
        var filterProblem: String?
        var warnings: [String]
    }

    var alias: String { "berth bridge \(owner)" }

    /// Finds or makes the bridge, and puts right what is not as it should be.
    func prepare(_ scope: any NetworkScope) throws -> Prepared {
        let sites = try configuration.sites(podCIDRs: podCIDRs)
        let (site, link) = try findBridge(scope, sites: sites) ?? makeBridge(scope, sites: sites)
        let present = try scope.routing.addresses(of: link.index)
        let missing = (configuration.isGateway ? site.gateways : []).filter { !present.contains($0) }
        // The pod CIDR is new to a bridge that is there.
        if !podCIDRs.isEmpty, !missing.isEmpty,
            let conflict = Self.conflict(
                site, routes: try scope.routing.routes(), links: try scope.routing.links())
        {
            throw conflict
        }
        for gateway in missing {
            try scope.routing.perform(
                .addAddress(gateway, to: link.index, name: site.bridge), accepting: [Errno.fileExists.rawValue])
        }
        if !link.isUp { try scope.routing.perform(.setUp(link.index, name: site.bridge)) }
        var prepared = Prepared(site: site, index: link.index, mtu: link.mtu, filterProblem: nil, warnings: [])
        if configuration.isGateway { forward(scope, site, &prepared.warnings) }
        filter(scope, site, &prepared)
        return prepared
    }

    private func findBridge(_ scope: any NetworkScope, sites: [BridgeSite]) throws -> (BridgeSite, Link)? {
        for site in sites {
            guard let link = try scope.routing.link(named: site.bridge) else { continue }
            let isOurs = link.alias == alias
            if isOurs, link.kind == "bridge" { return (site, link) }
            guard case .fixed = configuration.placement else { continue }
            guard link.kind == "bridge" else {
                throw BerthError(
                    .failedPrecondition,
                    "interface \(site.bridge) is \(link.kind.map { "a \($0)" } ?? "a device") and no bridge",
                    advice: "configure another bridge name")
            }
            guard let alias = link.alias, alias.hasPrefix("berth bridge ") else { return (site, link) }
            throw BerthError(
                .failedPrecondition,
                "bridge \(site.bridge) belongs to the daemon with the state directory \(alias.dropFirst(13))",
                advice: "configure another bridge name and subnet")
        }
        return nil
    }

    private func makeBridge(_ scope: any NetworkScope, sites: [BridgeSite]) throws -> (BridgeSite, Link) {
        let links = try scope.routing.links()
        let routes = try scope.routing.routes()
        var refusal = BerthError(.failedPrecondition, "the network has no ranges")
        for site in sites.reversed() {
            if let conflict = Self.conflict(site, routes: routes, links: links) { refusal = conflict }
        }
        let free = sites.first { site in
            Self.conflict(site, routes: routes, links: links) == nil && !links.contains { $0.name == site.bridge }
        }
        guard let site = free else { throw refusal }
        let mtu = configuration.mtu.map(UInt32.init) ?? Self.uplinkMTU(routes: routes, links: links)
        // Locally administered, unicast.
        let address = [0x02] + (0..<5).map { _ in UInt8.random(in: 0...255) }
        try scope.routing.perform(.addBridge(site.bridge, mtu: mtu, address: address))
        do {
            try scope.routing.perform(.setAlias(site.bridge, alias))
            if site.families.contains(.v6) { try? scope.setSysctl("ipv6/conf/\(site.bridge)/accept_ra", "0") }
            guard let link = try scope.routing.link(named: site.bridge) else {
                throw BerthError.notFound("bridge", site.bridge)
            }
            return (site, link)
        } catch {
            try? scope.deleteLink(site.bridge)
            throw error
        }
    }

    /// The route of the host that has a part of the site's subnets, as an error that names it.
    static func conflict(_ site: BridgeSite, routes: [Route], links: [Link]) -> BerthError? {
        for subnet in site.subnets {
            for route in routes where route.destination.length > 0 && (route.type == 1 || route.type == 2) {
                guard route.destination.overlaps(subnet) else { continue }
                // Link-local networks are on every interface.
                if IPAddressPrefix.linkLocal.overlaps(route.destination) { continue }
                let link = links.first { $0.index == route.link }?.name
                if link == site.bridge { continue }
                let device = link.map { " dev \($0)" } ?? ""
                return BerthError(
                    .failedPrecondition,
                    "subnet \(subnet) of the pod network overlaps the route \(route.destination)\(device) of this host",
                    advice: "configure a subnet that nothing on this host uses")
            }
        }
        return nil
    }

    /// Larger packets than the way out carries would be lost where path MTU discovery is blocked.
    private static func uplinkMTU(routes: [Route], links: [Link]) -> UInt32? {
        let uplink = routes.first { $0.destination.length == 0 && $0.table == Route.mainTable && $0.link != nil }?.link
        return links.first { $0.index == uplink }?.mtu
    }

    private func forward(_ scope: any NetworkScope, _ site: BridgeSite, _ warnings: inout [String]) {
        do {
            if site.families.contains(.v4), try scope.sysctl("ipv4/ip_forward") != "1" {
                try scope.setSysctl("ipv4/ip_forward", "1")
            }
            if site.families.contains(.v6), try scope.sysctl("ipv6/conf/all/forwarding") != "1" {
                // A forwarding host ignores router advertisements unless told twice: its own default route would expire.
                for interface in scope.ipv6Interfaces() where interface != site.bridge {
                    let key = "ipv6/conf/\(interface)/accept_ra"
                    if try scope.sysctl(key) == "1" { try scope.setSysctl(key, "2") }
                }
                try scope.setSysctl("ipv6/conf/all/forwarding", "1")
            }
        } catch {
            warnings.append("pods reach only this host and each other: \(error)")
        }
    }

    private func filter(_ scope: any NetworkScope, _ site: BridgeSite, _ prepared: inout Prepared) {
        do {
            let pods = Ruleset.admit(
                bridge: site.bridge, pods: site.subnets,
                isMasquerading: configuration.masquerade && configuration.isGateway)
            _ = try scope.filter(Ruleset.base + pods, json: false)
            // 127.0.0.1:PORT of the host leads to pods; the guard chain keeps pods from the host's loopback.
            if site.families.contains(.v4), configuration.portMappings {
                try scope.setSysctl("ipv4/conf/\(site.bridge)/route_localnet", "1")
            }
        } catch {
            prepared.filterProblem = "nf_tables does not work on this kernel: \(error)"
            prepared.warnings.append(
                "no masquerade and no host ports: nf_tables does not work on this kernel: \(error) "
                    + "(legacy iptables is not used)")
        }
    }
}

extension IPAddressPrefix {
    /// fe80::/10
    static let linkLocal = (try? IPAddressPrefix("fe80::/10")) ?? .all(.v6)
}
