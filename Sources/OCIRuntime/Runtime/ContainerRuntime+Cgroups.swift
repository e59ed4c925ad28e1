internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Where a container's cgroup is, told before it is made, so that what a killed create left can be found.
struct PlannedCgroup: JSONDecodable {
    var path: String
    var unit: ManagedUnit?
    /// As in `StoredContainer`.
    var hierarchies: [String: String]?

    static let file = "cgroup.json"

    /// - Parameter isPartial: it need not be in every hierarchy.
    init(_ cgroup: ContainerCgroup, isPartial: Bool) {
        path = cgroup.path
        unit = cgroup.unit
        // Whoever deletes it may be in another cgroup than whoever made it.
        hierarchies = cgroup.path.hasPrefix("/") && !isPartial ? nil : cgroup.host.bases
    }

    init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        path = try object.required("path")
        unit = try object.optional("unit")
        hierarchies = try object.optional("hierarchies")
    }

    var json: JSONValue {
        .object(
            of: [("path", .string(path)), ("unit", unit?.json), ("hierarchies", hierarchies.map(JSONValue.strings))])
    }

    func find(on host: CgroupHost) -> ContainerCgroup {
        ContainerCgroup(host: hierarchies.map { host.limited(to: $0) } ?? host, path: path, unit: unit)
    }
}

extension ContainerRuntime {
    /// The cgroup of a new container, and what of this host's cgroups it may use.
    func place(_ spec: RuntimeSpec, id: String) throws -> (HostFacts, ContainerCgroup) {
        var facts = try HostFacts.detect()
        guard usesCgroups else {
            facts.cgroups = facts.cgroups.keeping { _ in false }
            return (facts, try ContainerCgroup(host: facts.cgroups, path: nil, id: id))
        }
        let driver: CgroupDriver = usesSystemd ? try .systemd(isUser: isRootless) : .cgroupfs
        let path = spec.linux?.cgroupsPath ?? ""
        // A path that was asked for is not given up without a word, but for hierarchies that limit nothing.
        if isRootless, !usesSystemd {
            let host = facts.cgroups
            let permitted = host.permitted(path.isEmpty ? id : path).hierarchies
            facts.cgroups = host.keeping { permitted.contains($0) || !path.isEmpty && host.limits($0) }
            facts.foreignCgroups = host.hierarchies.filter { !facts.cgroups.hierarchies.contains($0) }
        }
        return (facts, try ContainerCgroup(host: facts.cgroups, path: path, id: id, driver: driver))
    }

    /// The specification with the path as it is below the hierarchies, and without what its user may not set.
    func placed(_ spec: RuntimeSpec, in cgroup: ContainerCgroup) -> RuntimeSpec {
        var spec = spec
        if cgroup.unit != nil { spec.linux?.cgroupsPath = cgroup.path }
        // The process around which systemd makes the scope would be the one process; it is limited when that is gone.
        if cgroup.unit != nil, let limit = spec.linux?.resources?.pids?.limit, (0...1).contains(limit) {
            spec.linux?.resources?.pids = nil
        }
        // Device rules are root's; a user's nodes are bound ones of the host, which has its own modes for them.
        if isRootless { spec.linux?.resources?.devices = nil }
        if !usesCgroups {
            spec.linux?.resources = nil
            spec.linux?.cgroupsPath = nil
        }
        if cgroup.unit != nil, let resources = spec.linux?.resources {
            spec.linux?.resources = resources.countedAsSystemdDoes
        }
        return spec
    }

    /// Absolute paths are in config.json.
    func note(_ cgroup: ContainerCgroup, in directory: FilePath) throws {
        guard cgroup.unit != nil || isRootless || !cgroup.path.hasPrefix("/") else { return }
        try Files.writeAtomically(
            directory.appending(PlannedCgroup.file), StrictJSON.text(PlannedCgroup(cgroup, isPartial: isRootless).json))
    }

    /// The cgroup of a create that did not come to its end; `nil` where it did not come so far.
    func leftCgroup(_ directory: FilePath, id: String) throws -> ContainerCgroup? {
        let host = try CgroupHost.detect()
        if let bytes = try? Files.read(directory.appending(PlannedCgroup.file), limit: 1 << 16) {
            return try StrictJSON.decode(PlannedCgroup.self, from: bytes, what: PlannedCgroup.file).find(on: host)
        }
        guard let spec = try? Self.readSpecification(directory.appending("config.json")) else { return nil }
        return try ContainerCgroup(host: host, path: spec.linux?.cgroupsPath, id: id)
    }

    /// Carries out the plan; with the systemd driver in a unit that is started first.
    func launch(
        _ plan: Berth_Launch_V1_Plan, _ spec: RuntimeSpec, in cgroup: ContainerCgroup, _ options: RunOptions
    ) throws -> LaunchedProcess {
        let launcher = try launcher()
        guard let unit = cgroup.unit else {
            return try TraceTimes.launch(plan) {
                try launcher.launchBlocking($0, descriptors: Self.descriptors(options))
            }
        }
        var placeholder: Placeholder? = try launcher.placeholder()
        try TraceTimes.part("start the systemd unit \(unit.name)") {
            try unit.start(
                pid: placeholder?.pid ?? 0, description: "berth-oci container \(plan.id)",
                resources: spec.linux?.resources ?? .init(), annotations: spec.annotations ?? [:], on: cgroup.host)
        }
        do {
            let process = try TraceTimes.launch(plan) {
                try launcher.launchBlocking($0, descriptors: Self.descriptors(options))
            }
            withExtendedLifetime(placeholder) {}
            placeholder = nil
            return process
        } catch {
            do { try unit.stop() } catch { Self.warn("\(error)") }
            throw error
        }
    }
}
