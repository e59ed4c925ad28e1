internal import Core
internal import OCISpec

/// Reads the result of ADD, of all versions of the spec.
enum CNIResult {
    /// - Parameters:
    ///   - interface: the pod's interface: addresses of others (second interfaces, the host's ends) do not count.
    /// - Throws: `BerthError` (`internal`) that names the key that is wrong.
    static func decode(_ value: JSONValue, version: CNIVersion, interface: String) throws -> PodNetworkResult {
        let root = ConfigurationNode(value, path: "", source: "cni result")
        guard case .object = value else { throw root.problem("must be an object") }
        var stated = version
        if let node = root.optional("cniVersion"), let text = try? node.string(), !text.isEmpty {
            stated = try CNIVersion(text)
        }
        if stated < .v0_3_0 { return try decodeFirst(root) }
        var result = PodNetworkResult()
        result.interfaces = try array(root, "interfaces").map { node in
            let sandbox = try text(node, "sandbox")
            return .init(
                name: try node.required("name").string(), mac: try text(node, "mac") ?? "",
                mtu: try node.optional("mtu")?.integer(), sandbox: sandbox?.isEmpty ?? true ? nil : sandbox)
        }
        result.addresses = try array(root, "ips").compactMap { node in
            let address = try node.required("address").prefix()
            guard let index = node.optional("interface") else { return address }
            let number = try index.integer()
            guard result.interfaces.indices.contains(number) else {
                throw index.problem("is no index of interfaces (there are \(result.interfaces.count))")
            }
            let owner = result.interfaces[number]
            return owner.sandbox != nil && owner.name == interface ? address : nil
        }
        result.routes = try array(root, "routes").map { node in
            .init(destination: try node.required("dst").prefix(), gateway: try gateway(node))
        }
        result.dns = try dns(root)
        return result
    }

    /// Versions 0.1.0 and 0.2.0: one address of each family.
    private static func decodeFirst(_ root: ConfigurationNode) throws -> PodNetworkResult {
        var result = PodNetworkResult()
        for family in ["ip4", "ip6"] {
            guard let node = root.optional(family), node.value != .null else { continue }
            result.addresses.append(try node.required("ip").prefix())
            result.routes += try array(node, "routes").map {
                .init(
                    destination: try $0.required("dst").prefix(), gateway: try gateway($0) ?? gateway(node, "gateway"))
            }
        }
        result.dns = try dns(root)
        return result
    }

    private static func array(_ node: ConfigurationNode, _ key: String) throws -> [ConfigurationNode] {
        guard let node = node.optional(key), node.value != .null else { return [] }
        return try node.elements()
    }

    private static func text(_ node: ConfigurationNode, _ key: String) throws -> String? {
        guard let node = node.optional(key), node.value != .null else { return nil }
        return try node.string()
    }

    private static func gateway(_ node: ConfigurationNode, _ key: String = "gw") throws -> IPAddress? {
        guard let value = try text(node, key), !value.isEmpty else { return nil }
        return try node.required(key).address()
    }

    private static func dns(_ root: ConfigurationNode) throws -> NetworkDNS {
        guard let node = root.optional("dns"), node.value != .null else { return NetworkDNS() }
        func list(_ key: String) throws -> [String] { try array(node, key).map { try $0.string() } }
        return NetworkDNS(
            servers: try list("nameservers"), searches: try list("search"), options: try list("options"),
            domain: try text(node, "domain"))
    }
}
