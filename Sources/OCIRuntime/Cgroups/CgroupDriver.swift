internal import Core
public import LinuxKernel
public import OCISpec

/// Who makes the cgroups of containers.
public enum CgroupDriver: Sendable, Hashable {
    /// This program writes to the cgroup file systems itself.
    case cgroupfs
    /// systemd, as transient units. `root`: the cgroup below which its units lie.
    case systemd(isUser: Bool, root: String)

    /// The systemd driver of this host, asked where its units lie.
    ///
    /// - Parameter isUser: the manager of this user's session.
    /// - Throws: `BerthError` (`unavailable`) where systemd cannot be reached.
    public static func systemd(isUser: Bool = false) throws -> CgroupDriver {
        .systemd(isUser: isUser, root: try SystemdManager(isUser: isUser).controlGroup())
    }
}

/// A unit, and whose manager has it.
public struct ManagedUnit: JSONDecodable, Sendable, Hashable {
    public let name: String
    public let slice: String
    public let isUser: Bool

    init(unit: SystemdUnit, isUser: Bool) {
        name = unit.name
        slice = unit.slice
        self.isUser = isUser
    }

    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        name = try object.required("name")
        slice = try object.required("slice")
        isUser = try object.required("isUser")
    }

    var json: JSONValue {
        .object(of: [("name", .string(name)), ("slice", .string(slice)), ("isUser", .bool(isUser))])
    }

    /// The system manager's unit of a cgroup, by its path: a scope in a slice, or a slice. `nil` for other paths.
    public init?(cgroup path: String) {
        let components = path.split(separator: "/")
        guard let last = components.last, last.hasSuffix(".scope") || last.hasSuffix(".slice") else { return nil }
        name = String(last)
        slice = components.dropLast().last { $0.hasSuffix(".slice") }.map(String.init) ?? "-.slice"
        isUser = false
    }

    var unit: SystemdUnit { SystemdUnit(slice: slice, name: name) }

    /// Starts it around a process.
    ///
    /// - Parameters:
    ///   - pid: becomes its first process; a slice takes none.
    ///   - description: what systemctl shows.
    ///   - annotations: `org.systemd.property.NAME` gives a property of the unit.
    public func start(
        pid: Int32, description: String, resources: RuntimeSpec.Linux.Resources, annotations: [String: String],
        on host: CgroupHost
    ) throws {
        let isUnified = host.layout == .unified
        var properties: [SystemdManager.Property] = [
            ("Description", .string(description)), ("DefaultDependencies", .boolean(false)),
            ("MemoryAccounting", .boolean(true)), ("CPUAccounting", .boolean(true)),
            ("TasksAccounting", .boolean(true)), (isUnified ? "IOAccounting" : "BlockIOAccounting", .boolean(true)),
        ]
        if unit.isSlice {
            properties.append(("Wants", .strings([slice])))
        } else {
            properties.append(("Slice", .string(slice)))
            // What is below it is the container's; systemd writes there no more.
            properties.append(("Delegate", .boolean(true)))
            properties.append(("PIDs", .array(of: "u", [.uint32(UInt32(clamping: pid))])))
        }
        let limits = try UnitProperties(resources, isUnified: isUnified)
        limits.warnings.forEach(ContainerRuntime.warn)
        properties += limits.list
        properties += try UnitAnnotations.properties(annotations)
        try SystemdManager(isUser: isUser).startTransient(unit, properties)
    }

    public func change(_ resources: RuntimeSpec.Linux.Resources, on host: CgroupHost) throws {
        let limits = try UnitProperties(resources, isUnified: host.layout == .unified)
        limits.warnings.forEach(ContainerRuntime.warn)
        guard !limits.list.isEmpty else { return }
        try SystemdManager(isUser: isUser).set(limits.list, of: unit)
    }

    public func stop() throws {
        try SystemdManager(isUser: isUser).stop(unit)
    }
}
