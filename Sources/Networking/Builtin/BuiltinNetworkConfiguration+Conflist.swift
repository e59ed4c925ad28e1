internal import Core
internal import OCISpec

extension BuiltinNetworkConfiguration {
    /// Reads a CNI configuration list of the types that the built-in network stands in for: `bridge` with `host-local`,
    /// `portmap` and `loopback`.
    ///
    /// - Parameter source: the file's path, for errors.
    /// - Throws: `BerthError` (`invalidArgument`) with the path of a key that is wrong, or that the built-in network does not
    ///   know: nothing in the file is ignored.
    public init(conflist bytes: [UInt8], source: String) throws {
        let root = ConfigurationNode(
            try StrictJSON.parse(bytes, what: source, limit: 1 << 20), path: "", source: source)
        self.init()
        portMappings = false
        name = try root.required("name").string()
        try CNIRules.checkNetworkName(name)
        if let version = try root.optional("cniVersion")?.string() { _ = try CNIVersion(version) }
        try root.allow("name", "cniVersion", "cniVersions", "disableCheck", "disableGC", "plugins")
        var types: Set<String> = []
        for plugin in try root.required("plugins").elements() {
            let type = try plugin.required("type").string()
            guard types.insert(type).inserted else { throw try plugin.required("type").problem("is there twice") }
            switch type {
            case "bridge": try readBridge(plugin)
            case "portmap": try readPortMap(plugin)
            case "loopback": try plugin.allow("type")
            default: throw try plugin.required("type").problem("is not built in (bridge, portmap and loopback are)")
            }
        }
        guard types.contains("bridge") else { throw try root.required("plugins").problem("has no bridge") }
    }

    private mutating func readBridge(_ node: ConfigurationNode) throws {
        try node.allow(
            "type", "bridge", "isGateway", "isDefaultGateway", "ipMasq", "hairpinMode", "mtu", "ipam", "dns", "name",
            "cniVersion")
        let bridge = try node.optional("bridge")?.string() ?? "cni0"
        do { try CNIRules.checkInterfaceName(bridge) } catch {
            throw try node.required("bridge").problem("is no interface name")
        }
        let isDefault = try node.optional("isDefaultGateway")?.bool() ?? false
        isGateway = try node.optional("isGateway")?.bool() ?? isDefault || isDefault
        masquerade = try node.optional("ipMasq")?.bool() ?? false
        hairpin = try node.optional("hairpinMode")?.bool() ?? false
        if let node = node.optional("mtu") {
            let value = try node.integer()
            guard value == 0 || (68...65535).contains(value) else { throw node.problem("must be 0 or 68 to 65535") }
            mtu = value == 0 ? nil : value
        }
        if let dns = node.optional("dns") { self.dns = try readDNS(dns) }
        let ipam = try node.required("ipam")
        let ranges = try readRanges(ipam)
        placement = .fixed(bridge: bridge, ranges: ranges)
        _ = try sites()
        routes =
            try ipam.optional("routes")?.elements().map { route in
                try route.allow("dst", "gw")
                return Route(
                    destination: try route.required("dst").prefix(), gateway: try route.optional("gw")?.address())
            } ?? []
        if isDefault { routes = nil }
    }

    private func readRanges(_ ipam: ConfigurationNode) throws -> [[AddressRange]] {
        let type = try ipam.required("type")
        guard try type.string() == "host-local" else { throw type.problem("is not built in (host-local is)") }
        try ipam.allow("type", "ranges", "routes", "subnet", "rangeStart", "rangeEnd", "gateway", "name")
        var sets: [[AddressRange]] = []
        if ipam.optional("subnet") != nil { sets.append([try readRange(ipam)]) }
        for set in try ipam.optional("ranges")?.elements() ?? [] {
            sets.append(
                try set.elements().map { range in
                    try range.allow("subnet", "rangeStart", "rangeEnd", "gateway")
                    return try readRange(range)
                })
            if sets.last?.isEmpty ?? true { throw set.problem("is empty") }
        }
        guard !sets.isEmpty else { throw ipam.problem("has neither ranges nor a subnet") }
        return sets
    }

    private func readRange(_ node: ConfigurationNode) throws -> AddressRange {
        AddressRange(
            subnet: try node.required("subnet").prefix(), rangeStart: try node.optional("rangeStart")?.address(),
            rangeEnd: try node.optional("rangeEnd")?.address(), gateway: try node.optional("gateway")?.address())
    }

    private func readDNS(_ node: ConfigurationNode) throws -> NetworkDNS {
        try node.allow("nameservers", "domain", "search", "options")
        return NetworkDNS(
            servers: try node.optional("nameservers")?.strings() ?? [],
            searches: try node.optional("search")?.strings() ?? [],
            options: try node.optional("options")?.strings() ?? [], domain: try node.optional("domain")?.string())
    }

    private mutating func readPortMap(_ node: ConfigurationNode) throws {
        try node.allow("type", "capabilities", "snat")
        if let snat = node.optional("snat"), try !snat.bool() {
            throw snat.problem("cannot be turned off: pods reach host ports by masquerade")
        }
        try node.optional("capabilities")?.allow("portMappings")
        portMappings = try node.optional("capabilities")?.optional("portMappings")?.bool() ?? false
    }
}
