internal import Core
internal import OCISpec

/// A network configuration list (CNI spec 1.1, "Network configuration format"); a single configuration is a list of one.
struct CNIConfiguration: Hashable, Sendable {
    struct Plugin: Hashable, Sendable {
        let type: String
        /// Capabilities that the plugin wants, as far as they are `true`.
        let capabilities: Set<String>
        /// The plugin's object as it stands in the file.
        let object: [JSONValue.Member]
    }

    let name: String
    /// The version of the list, or the newest known one of `cniVersions`.
    let version: CNIVersion
    /// All versions that the list offers, newest first.
    let offered: [CNIVersion]
    let disableCheck: Bool
    let disableGC: Bool
    let plugins: [Plugin]
    /// What was read, for the cache.
    let source: String
    let path: String

    /// - Throws: `BerthError` (`invalidArgument`) that names the file and the key.
    init(_ bytes: [UInt8], path: String, single: Bool) throws {
        let root = ConfigurationNode(try StrictJSON.parse(bytes, what: path, limit: 1 << 20), path: "", source: path)
        guard case .object = root.value else { throw root.problem("must be an object") }
        self.path = path
        source = String(decoding: bytes, as: UTF8.self)
        name = try root.required("name").string()
        do { try CNIRules.checkNetworkName(name) } catch {
            throw try root.required("name").problem("must be [A-Za-z0-9] and then [A-Za-z0-9_.-]")
        }
        offered = try Self.versions(root)
        guard let newest = offered.first else { throw root.problem("offers no CNI version that is known here") }
        version = newest
        disableCheck = try Self.flag(root, "disableCheck")
        disableGC = try Self.flag(root, "disableGC")
        // A file in the form of a list is one, whatever its name says.
        let isList = !single || root.optional("plugins") != nil
        plugins = try (isList ? root.required("plugins").elements() : [root]).map(Self.plugin)
        guard !plugins.isEmpty else { throw try root.required("plugins").problem("is empty") }
    }

    private static func versions(_ root: ConfigurationNode) throws -> [CNIVersion] {
        // A configuration without a version is one of 0.1.0 (spec 0.2.0).
        var texts: [ConfigurationNode] = try root.optional("cniVersions")?.elements() ?? []
        if let version = root.optional("cniVersion") { texts.append(version) }
        guard !texts.isEmpty else { return [.v0_1_0] }
        let versions = try texts.map { node in
            do { return try CNIVersion(node.string()) } catch { throw node.problem("must be MAJOR.MINOR.PATCH") }
        }
        let known = Set(versions).intersection(CNIVersion.known).sorted(by: >)
        guard !known.isEmpty else {
            throw texts[0].problem(
                "is not known; known are \(CNIVersion.known.map(\.description).joined(separator: ", "))")
        }
        return known
    }

    /// The spec asks for a boolean; files with a string are about.
    private static func flag(_ root: ConfigurationNode, _ key: String) throws -> Bool {
        guard let node = root.optional(key) else { return false }
        if case .string(let text) = node.value, let flag = Bool(text.lowercased()) { return flag }
        return try node.bool()
    }

    private static func plugin(_ node: ConfigurationNode) throws -> Plugin {
        let type = try node.required("type")
        let name = try type.string()
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")),
            !name.utf8.contains(0)
        else { throw type.problem("must be the name of a program, without a directory") }
        var capabilities: Set<String> = []
        if let wanted = node.optional("capabilities") {
            guard case .object(let members) = wanted.value else { throw wanted.problem("must be an object") }
            capabilities = Set(members.filter { $0.value == .bool(true) }.map(\.key))
        }
        guard case .object(let members) = node.value else { throw node.problem("must be an object") }
        return Plugin(type: name, capabilities: capabilities, object: members)
    }
}
