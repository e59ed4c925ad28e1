internal import Core
internal import OCIRuntime
internal import OCISpec

/// The capabilities of a container: the default set with what its config adds and drops.
struct CapabilitySet {
    let permitted: [String]
    let ambient: [String]

    init(_ security: ContainerSecurityContext, host: SpecHost) throws {
        if security.privileged {
            permitted = host.capabilities
            ambient = []
            return
        }
        let added = try security.addCapabilities.map { try Self.name($0, field: "add_capabilities", host) }
        let dropped = try security.dropCapabilities.map { try Self.name($0, field: "drop_capabilities", host) }
        let raised = try security.addAmbientCapabilities.map {
            try Self.name($0, field: "add_ambient_capabilities", host)
        }
        var set: Set<String> = dropped.contains(Self.all) ? [] : Set(host.defaultCapabilities)
        if added.contains(Self.all) { set = Set(host.capabilities) }
        set.formUnion(added)
        set.formUnion(raised)
        set.subtract(dropped)
        set.remove(Self.all)
        // What this daemon does not have itself, it cannot give.
        permitted = host.capabilities.filter(set.contains)
        ambient = host.capabilities.filter { set.contains($0) && (raised.contains($0) || raised.contains(Self.all)) }
    }

    /// Nothing is inheritable but what is ambient (CVE-2022-24769).
    var specification: RuntimeSpec.Process.Capabilities {
        var capabilities = RuntimeSpec.Process.Capabilities()
        capabilities.bounding = permitted
        capabilities.effective = permitted
        capabilities.permitted = permitted
        capabilities.inheritable = ambient.isEmpty ? nil : ambient
        capabilities.ambient = ambient.isEmpty ? nil : ambient
        return capabilities
    }

    private static let all = "CAP_ALL"

    private static func name(_ text: String, field: String, _ host: SpecHost) throws -> String {
        let upper = text.uppercased()
        let name = upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
        guard name == all || Capability(name: name) != nil else {
            throw BerthError.invalid(
                field: "config.linux.security_context.capabilities.\(field)", value: text, rule: "is not a capability")
        }
        return name
    }
}
