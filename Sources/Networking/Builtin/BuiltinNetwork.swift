internal import Core
internal import LinuxKernel
public import Logging
internal import Synchronization
public import SystemPackage

/// The network of nodes without CNI plugins: a bridge, a veth pair and host-local addresses for each pod, masquerade and
/// host ports, all in-process over netlink and nftables.
///
/// State is what the kernel has, plus lease files under STATE/networks/NAME, so that a restarted daemon goes on.
public final class BuiltinNetwork: PodNetwork {
    public let configuration: BuiltinNetworkConfiguration
    private let directory: FilePath
    private let scopes: any NetworkScopes
    private let logger: Logger
    private let owner: String
    private let leases: LeaseDirectory
    private let pods = KeyedLock<String>()
    private let preparation = KeyedLock<String>()
    private let podCIDRs: PodCIDRFile
    private let state = Mutex(State())
    /// Held on threads of their own while files of ports and their elements change together.
    private let portsLock = Mutex(())

    private struct State {
        var prepared: BridgeHost.Prepared?
        /// As they were told, the newest last: pods may still have addresses of the older ones.
        var podCIDRs: [[IPAddressPrefix]] = []
        /// Pods with an operation under way, which garbage collection leaves alone.
        var busy: [String: Int] = [:]
    }

    /// - Parameters:
    ///   - stateDirectory: the daemon's, on a tmpfs: /run/berth.
    ///   - hostNamespace: the network namespace that has the bridge.
    public convenience init(
        configuration: BuiltinNetworkConfiguration = BuiltinNetworkConfiguration(), stateDirectory: FilePath,
        hostNamespace: FilePath = "/proc/self/ns/net", logger: Logger = Logger(label: "berth.network")
    ) throws {
        try self.init(
            configuration: configuration, stateDirectory: stateDirectory,
            scopes: KernelScopes(hostNamespace: hostNamespace), logger: logger)
    }

    init(
        configuration: BuiltinNetworkConfiguration, stateDirectory: FilePath, scopes: any NetworkScopes, logger: Logger
    ) throws {
        try CNIRules.checkNetworkName(configuration.name)
        _ = try configuration.sites()
        self.configuration = configuration
        self.scopes = scopes
        self.logger = logger
        directory = stateDirectory.appending("networks").appending(configuration.name)
        leases = LeaseDirectory(path: directory)
        owner = stateDirectory.string
        podCIDRs = PodCIDRFile(path: directory.appending("pod-cidrs"))
        let known = podCIDRs.read()
        state.withLock { $0.podCIDRs = known }
    }

    private var host: BridgeHost {
        let cidrs = state.withLock { $0.podCIDRs.last } ?? []
        return BridgeHost(configuration: configuration, owner: owner, podCIDRs: cidrs)
    }

    /// The next pod gets an address of them, on the same bridge: its gateway's addresses are added to what is there.
    public func use(podCIDRs cidrs: [IPAddressPrefix]) async throws -> Bool {
        guard configuration.placement == .automatic, !cidrs.isEmpty else { return false }
        _ = try configuration.sites(podCIDRs: cidrs)
        try await preparation.withLock("") {
            let known = state.withLock { $0.podCIDRs }
            guard known.last != cidrs else { return }
            let all = Array((known.filter { $0 != cidrs } + [cidrs]).suffix(PodCIDRFile.limit))
            // It outlives a restart of the daemon, as the addresses of its pods do; a kubelet tells it once.
            try podCIDRs.write(all)
            state.withLock {
                $0.podCIDRs = all
                $0.prepared = nil
            }
        }
        return true
    }

    /// The ranges of a pod's leases: one for each pool, or, where none is of those, of what the pod CIDR was before.
    ///
    /// - Returns: empty where the pod lacks an address.
    private func ranges(
        of held: [LeaseDirectory.Lease], in prepared: BridgeHost.Prepared
    ) throws -> [(lease: LeaseDirectory.Lease, range: AddressPool.Range)] {
        func ranges(in pool: AddressPool) -> (lease: LeaseDirectory.Lease, range: AddressPool.Range)? {
            for lease in held {
                if let range = pool.ranges.first(where: { $0.contains(lease.address) }) { return (lease, range) }
            }
            return nil
        }
        let pools = prepared.site.pools
        let present = pools.compactMap(ranges)
        guard present.isEmpty else { return present.count == pools.count ? present : [] }
        let former = try state.withLock { $0.podCIDRs }.map { try configuration.sites(podCIDRs: $0) }
        return try (former + [configuration.sites()]).joined().filter { $0.bridge == prepared.site.bridge }
            .flatMap { $0.pools.compactMap(ranges) }
    }

    public func status() async -> NetworkStatus {
        let provider = "builtin \(configuration.name)"
        do {
            let prepared = try await prepare(anew: true)
            return NetworkStatus(isReady: true, warnings: prepared.warnings, provider: provider)
        } catch {
            return .notReady("\(error)", provider: provider)
        }
    }

    /// Whether the pod has a lease, which it has from the first step of `setUp` to the last one of `tearDown`.
    public func holds(podID: String) throws -> Bool {
        try !leases.leases(of: podID).isEmpty
    }

    public func setUp(_ request: PodNetworkRequest) async throws -> PodNetworkResult {
        try validate(request)
        return try await working(on: request.podID) {
            let namespace = try scopes.open(request.networkNamespace)
            let prepared = try await prepare(anew: false)
            if let problem = prepared.filterProblem,
                let mapping = request.portMappings.first(where: { $0.hostPort != 0 })
            {
                throw BerthError(.failedPrecondition, "host port \(mapping) is not possible: \(problem)")
            }
            if try holds(podID: request.podID) { try await clear(request.podID, interface: request.interfaceName) }
            return try await withRollback { rollback in
                rollback.onFailure("take down the network of pod \(request.podID)") { [self] in
                    try await clear(request.podID, interface: request.interfaceName)
                }
                return try await connect(request, namespace, prepared)
            }
        }
    }

    private func connect(
        _ request: PodNetworkRequest, _ namespace: OwnedDescriptor, _ prepared: BridgeHost.Prepared
    ) async throws -> PodNetworkResult {
        let link = PodLink(podID: request.podID, interface: request.interfaceName)
        let taken = try leases.allocate(
            podID: request.podID, interface: request.interfaceName, pools: prepared.site.pools)
        try Failpoint.reach("network.connect.leased")
        let addresses = try taken.map { try IPAddressPrefix($0.address, length: $0.range.subnet.length) }
        let routes = try routes(for: taken.map(\.range))
        let hairpin = configuration.hairpin
        try await scopes.inHost { scope in
            try link.connect(
                scope, bridge: prepared.index, mtu: prepared.mtu, hairpin: hairpin, namespace: namespace.rawValue)
        }
        try Failpoint.reach("network.connect.linked")
        let end = try await scopes.inside(namespace) { scope in
            try link.configure(scope, addresses: addresses, routes: routes)
        }
        try Failpoint.reach("network.connect.configured")
        let ports = forwards(prepared.site.bridge)
        if request.portMappings.contains(where: { $0.hostPort != 0 }) {
            try await scopes.inHost { [self] scope in
                try portsLock.withLock { _ in
                    try ports.add(request.portMappings, to: addresses.map(\.address), podID: request.podID, scope)
                }
            }
        }
        try Failpoint.reach("network.connect.forwarded")
        logger.debug(
            "pod connected",
            metadata: ["pod": "\(request.podID)", "addresses": "\(addresses)", "link": "\(link.hostName)"])
        return PodNetworkResult(
            interfaces: [
                .init(name: prepared.site.bridge, mtu: prepared.mtu.map(Int.init)), .init(name: link.hostName),
                .init(
                    name: request.interfaceName, mac: end.hardwareAddressText, mtu: end.mtu.map(Int.init),
                    sandbox: request.networkNamespace.string),
            ], addresses: addresses, routes: routes, dns: configuration.dns)
    }

    private func routes(for ranges: [AddressPool.Range]) throws -> [PodNetworkResult.Route] {
        func gateway(_ family: IPAddress.Family) -> IPAddress? {
            ranges.first { $0.gateway.family == family }?.gateway
        }
        guard let routes = configuration.routes else {
            guard configuration.isGateway else { return [] }
            return IPAddress.Family.allCases.compactMap { family in
                gateway(family).map { .init(destination: .all(family), gateway: $0) }
            }
        }
        return routes.compactMap { route in
            guard let hop = route.gateway ?? gateway(route.destination.address.family) else { return nil }
            return .init(destination: route.destination.network, gateway: hop)
        }
    }

    public func tearDown(_ request: PodNetworkRequest) async throws {
        try await working(on: request.podID) {
            try await clear(request.podID, interface: request.interfaceName)
        }
    }

    /// In reverse order of `connect`; the lease goes last, so that nobody else gets an address that is still in use.
    private func clear(_ podID: String, interface: String) async throws {
        let link = PodLink(podID: podID, interface: interface)
        let bridge = state.withLock { $0.prepared?.site.bridge }
        let host = host
        try await scopes.inHost { [self] scope in
            try link.disconnect(scope)
            try Failpoint.reach("network.clear.unlinked")
            for bridge in try bridge.map({ [$0] }) ?? host.bridges(scope, adopted: true) {
                try portsLock.withLock { _ in try forwards(bridge).remove(podID: podID, scope) }
            }
        }
        try Failpoint.reach("network.clear.unforwarded")
        try leases.release(podID: podID)
        try Failpoint.reach("network.clear.released")
    }

    public func check(_ request: PodNetworkRequest) async throws {
        try await working(on: request.podID) {
            let prepared = try await prepare(anew: false)
            let held = try leases.leases(of: request.podID)
            let link = PodLink(podID: request.podID, interface: request.interfaceName)
            let found = try ranges(of: held, in: prepared)
            guard !found.isEmpty else {
                throw BerthError(.failedPrecondition, "pod \(request.podID) has no address in the built-in network")
            }
            let addresses = try found.map { try IPAddressPrefix($0.lease.address, length: $0.range.subnet.length) }
            let ranges = found.map(\.range)
            let (expected, routes, ports) = (addresses, try routes(for: ranges), forwards(prepared.site.bridge))
            try await scopes.inHost { scope in
                try link.checkHost(scope, bridge: prepared)
                try ports.check(
                    request.portMappings, to: expected.map(\.address), podID: request.podID, scope)
            }
            try await scopes.inside(scopes.open(request.networkNamespace)) { scope in
                try link.checkPod(scope, addresses: expected, routes: routes)
            }
        }
    }

    public func collectGarbage(keeping: Set<String>) async throws {
        let kept = state.withLock { keeping.union($0.busy.keys) }
        let bridge = state.withLock { $0.prepared?.site.bridge }
        let host = host
        try await scopes.inHost { [self] scope in
            let aliases = Set(kept.map { PodLink(podID: $0, interface: "").alias })
            for bridge in try bridge.map({ [$0] }) ?? host.bridges(scope, adopted: true) {
                try host.deletePodLinks(scope, bridge: bridge, except: aliases)
                try portsLock.withLock { _ in try forwards(bridge).remove(except: kept, scope) }
            }
        }
        try leases.release(except: kept)
    }

    /// Undoes everything on the host: pods' interfaces, the bridge, the elements and, if empty, the table of nft, leases.
    /// Sysctls stay as they are: others may rely on them meanwhile.
    public func removeAll() async throws {
        try await preparation.withLock("") {
            state.withLock { $0.prepared = nil }
            let host = host
            try await scopes.inHost { [self] scope in
                let own = try host.bridges(scope, adopted: false)
                for bridge in try host.bridges(scope, adopted: true) {
                    try host.deletePodLinks(scope, bridge: bridge, except: [])
                    try forwards(bridge).removeNetwork(scope)
                    guard own.contains(bridge) else { continue }
                    try scope.deleteLink(bridge)
                }
            }
            try leases.release(except: [])
            leases.forget()
            do throws(Errno) { try Files.removeTree(directory) } catch {
                throw BerthError(.internal, "remove \(directory)", cause: error)
            }
            // Stays where another network has its directory.
            try? Syscall.unlinkat(directory.removingLastComponent(), removeDirectory: true)
        }
    }

    private func forwards(_ bridge: String) -> PortForwards {
        PortForwards(directory: directory.appending("ports"), bridge: bridge)
    }

    private func validate(_ request: PodNetworkRequest) throws {
        try CNIRules.checkContainerID(request.podID)
        try CNIRules.checkInterfaceName(request.interfaceName)
        if request.bandwidth != nil {
            throw BerthError(.unimplemented, "the built-in network does not limit bandwidth", advice: "use CNI plugins")
        }
        if !request.ipRanges.isEmpty {
            throw BerthError(
                .unimplemented, "the built-in network takes no ranges of single pods", advice: "use CNI plugins")
        }
        if !configuration.portMappings, let mapping = request.portMappings.first(where: { $0.hostPort != 0 }) {
            throw BerthError(
                .failedPrecondition,
                "host port \(mapping) is not possible: network \(configuration.name) has no portmap")
        }
    }

    /// One operation at a time per pod.
    private func working<Result>(on podID: String, _ body: () async throws -> Result) async throws -> Result {
        state.withLock { $0.busy[podID, default: 0] += 1 }
        defer {
            state.withLock {
                let left = ($0.busy[podID] ?? 1) - 1
                $0.busy[podID] = left > 0 ? left : nil
            }
        }
        return try await pods.withLock(podID, body)
    }

    /// - Parameter anew: look at everything again; else a bridge that is still there is enough.
    private func prepare(anew: Bool) async throws -> BridgeHost.Prepared {
        try await preparation.withLock("") {
            let host = host
            let known = anew ? nil : state.withLock { $0.prepared }
            let prepared = try await scopes.inHost { [self] scope in
                if let known, try scope.routing.link(named: known.site.bridge)?.index == known.index { return known }
                var prepared = try host.prepare(scope)
                if prepared.filterProblem == nil {
                    let ports = forwards(prepared.site.bridge)
                    prepared.warnings += portsLock.withLock { _ in ports.restore(scope) }
                }
                return prepared
            }
            let isNews = state.withLock { state in
                defer { state.prepared = prepared }
                return state.prepared?.warnings != prepared.warnings
            }
            if isNews {
                for warning in prepared.warnings { logger.warning("\(warning)") }
            }
            return prepared
        }
    }
}

extension BridgeHost {
    /// The bridges of this daemon's network: found, not made.
    ///
    /// - Parameter adopted: also a configured one that somebody else made.
    func bridges(_ scope: any NetworkScope, adopted: Bool) throws -> [String] {
        let candidates = Set(try configuration.sites().map(\.bridge))
        let isFixed = configuration.placement != .automatic
        return try scope.routing.links().filter { link in
            guard link.kind == "bridge", candidates.contains(link.name) else { return false }
            return link.alias == alias || adopted && isFixed && !(link.alias ?? "").hasPrefix("berth bridge ")
        }.map(\.name)
    }

    /// Deletes the pods' interfaces on `bridge`, but those with the aliases in `kept`.
    func deletePodLinks(_ scope: any NetworkScope, bridge: String, except kept: Set<String>) throws {
        let links = try scope.routing.links()
        guard let index = links.first(where: { $0.name == bridge })?.index else { return }
        for link in links where link.master == index {
            guard let alias = link.alias, alias.hasPrefix(PodLink.aliasPrefix), !kept.contains(alias) else { continue }
            try scope.deleteLink(link.name)
        }
    }
}
