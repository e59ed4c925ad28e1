internal import Core
internal import NRIAPI
internal import OCISpec
internal import SwiftProtobuf

/// A container that is to be made, changed by one plugin after the other: each sees what those before it have left.
struct AdjustedContainer {
    let id: String
    private(set) var spec: RuntimeSpec
    private(set) var cdiDevices: [String] = []
    private(set) var claims: FieldClaims
    /// All that was asked for, for those who validate it.
    private(set) var wanted = NRIContainerAdjustment()

    init(id: String, spec: RuntimeSpec) {
        self.id = id
        self.spec = spec
        claims = FieldClaims(containerID: id)
    }

    /// - Throws: `BerthError` where two plugins want the same field, or what is wanted cannot be done here. The container
    ///   is of no use then.
    mutating func apply(_ adjustment: NRIContainerAdjustment, by plugin: String) throws {
        try remember(adjustment)
        try adjustAnnotations(adjustment.annotations, plugin)
        try adjustMounts(adjustment.mounts, plugin)
        try adjustEnvironment(adjustment.env, plugin)
        try adjustArguments(adjustment.args, plugin)
        if adjustment.hasHooks, !adjustment.hooks.isEmpty {
            claims.note(.ociHooks, by: plugin)
            var hooks = spec.hooks ?? RuntimeSpec.Hooks()
            hooks.append(adjustment.hooks)
            spec.hooks = hooks
        }
        for limit in adjustment.rlimits {
            try claims.claim(.rlimits, limit.type, by: plugin)
            var limits = (spec.process?.rlimits ?? []).filter { $0.type != limit.type }
            limits.append(.init(type: limit.type, soft: limit.soft, hard: limit.hard))
            spec.process?.rlimits = limits
        }
        for device in adjustment.cdiDevices {
            try claims.claim(.cdiDevices, device.name, by: plugin)
            if !cdiDevices.contains(device.name) { cdiDevices.append(device.name) }
        }
        if adjustment.hasLinux { try adjust(adjustment.linux, plugin) }
    }

    private mutating func remember(_ adjustment: NRIContainerAdjustment) throws {
        let args = adjustment.args.isEmpty ? wanted.args : adjustment.args
        let bytes: [UInt8] = try adjustment.serializedBytes()
        try wanted.merge(serializedBytes: bytes)
        wanted.args = args
    }

    // MARK: Lists and tables with names

    private mutating func adjustAnnotations(_ changes: [String: String], _ plugin: String) throws {
        spec.annotations = try changed(spec.annotations ?? [:], changes, .annotations, plugin)
    }

    /// Removals come first, so that one message can replace what another plugin has set.
    private mutating func changed<Value>(
        _ table: [String: Value], _ changes: [String: Value], _ field: NRIField, _ plugin: String
    ) throws -> [String: Value] {
        var table = table
        for key in changes.keys.map(Marked.init) where key.isRemoval {
            claims.release(field, key.name)
            table[key.name] = nil
        }
        for (key, value) in changes where !Marked(key).isRemoval {
            try claims.claim(field, key, by: plugin)
            table[key] = value
        }
        return table
    }

    private mutating func adjustMounts(_ changes: [NRIMount], _ plugin: String) throws {
        guard !changes.isEmpty else { return }
        let names = changes.map { Marked($0.destination) }
        for name in names where name.isRemoval { claims.release(.mounts, name.name) }
        var mounts = (spec.mounts ?? []).filter { mount in !names.contains { $0.name == mount.destination } }
        for (change, name) in zip(changes, names) where !name.isRemoval {
            try claims.claim(.mounts, name.name, by: plugin)
            mounts.append(change.specification)
            setRootPropagation(for: change.options)
        }
        // Parents before what is mounted inside them; otherwise in the order given.
        spec.mounts = mounts.enumerated().sorted { a, b in
            (depth(a.element), a.offset) < (depth(b.element), b.offset)
        }.map(\.element)
    }

    private func depth(_ mount: RuntimeSpec.Mount) -> Int {
        mount.destination.split(separator: "/").count
    }

    /// Nothing comes in through a root that is private.
    private mutating func setRootPropagation(for options: [String]) {
        if options.contains("rshared") {
            spec.linux?.rootfsPropagation = "rshared"
        } else if options.contains("rslave"), spec.linux?.rootfsPropagation != "rshared" {
            spec.linux?.rootfsPropagation = "rslave"
        }
    }

    private mutating func adjustEnvironment(_ changes: [NRIKeyValue], _ plugin: String) throws {
        guard !changes.isEmpty else { return }
        let names = changes.map { Marked($0.key) }
        for name in names where name.isRemoval { claims.release(.env, name.name) }
        var values: [String: String] = [:]
        for (change, name) in zip(changes, names) where !name.isRemoval {
            try claims.claim(.env, name.name, by: plugin)
            values[name.name] = change.value
        }
        let removed = Set(names.filter(\.isRemoval).map(\.name))
        var variables = (spec.process?.env ?? []).compactMap { entry -> String? in
            let name = String(entry.prefix { $0 != "=" })
            if let value = values.removeValue(forKey: name) { return "\(name)=\(value)" }
            return removed.contains(name) ? nil : entry
        }
        for name in names where !name.isRemoval {
            if let value = values.removeValue(forKey: name.name) { variables.append("\(name.name)=\(value)") }
        }
        spec.process?.env = variables
    }

    private mutating func adjustArguments(_ changes: [String], _ plugin: String) throws {
        guard let first = changes.first else { return }
        if first.isEmpty { claims.release(.args) }
        try claims.claim(.args, by: plugin)
        spec.process?.args = first.isEmpty ? Array(changes.dropFirst()) : changes
    }

    // MARK: Linux

    private mutating func adjust(_ changes: NRILinuxContainerAdjustment, _ plugin: String) throws {
        var linux = spec.linux ?? RuntimeSpec.Linux()
        try adjustDevices(&linux, changes.devices, plugin)
        if changes.hasResources {
            var limits = AdjustedLimits(linux.resources ?? .init())
            try limits.apply(changes.resources, by: plugin, &claims)
            linux.resources = limits.limits
            if let name = limits.rdtClass {
                linux.intelRdt = name.isEmpty ? nil : linux.intelRdt ?? .init()
                if !name.isEmpty { linux.intelRdt?.closID = name }
            }
        }
        if !changes.cgroupsPath.isEmpty {
            try claims.claim(.cgroupsPath, by: plugin)
            linux.cgroupsPath = changes.cgroupsPath
        }
        try adjustNamespaces(&linux, changes.namespaces, plugin)
        linux.sysctl = try changed(linux.sysctl ?? [:], changes.sysctl, .sysctl, plugin)
        if linux.sysctl?.isEmpty == true { linux.sysctl = nil }
        let devices = changes.netDevices.mapValues { device in
            RuntimeSpec.Linux.NetDevice(name: device.name.isEmpty ? nil : device.name)
        }
        linux.netDevices = try changed(linux.netDevices ?? [:], devices, .linuxNetDevices, plugin)
        if linux.netDevices?.isEmpty == true { linux.netDevices = nil }
        if changes.hasSeccompPolicy {
            try claims.claim(.seccompPolicy, by: plugin)
            linux.seccomp = changes.seccompPolicy.specification
        }
        if changes.hasRdt { try adjust(&linux, changes.rdt, plugin) }
        if changes.hasMemoryPolicy { try adjust(&linux, changes.memoryPolicy, plugin) }
        spec.linux = linux
        try adjustProcess(changes, plugin)
    }

    private mutating func adjustDevices(
        _ linux: inout RuntimeSpec.Linux, _ changes: [NRILinuxDevice], _ plugin: String
    ) throws {
        guard !changes.isEmpty else { return }
        let names = changes.map { Marked($0.path) }
        for name in names where name.isRemoval { claims.release(.devices, name.name) }
        var devices = (linux.devices ?? []).filter { device in !names.contains { $0.name == device.path } }
        for (change, name) in zip(changes, names) where !name.isRemoval {
            try claims.claim(.devices, name.name, by: plugin)
            devices.append(change.specification)
            var limits = linux.resources ?? .init()
            limits.devices =
                (limits.devices ?? []) + [
                    .init(
                        allow: true, type: change.type, major: change.major, minor: change.minor,
                        access: change.type == "b" ? "rwm" : "rw")
                ]
            linux.resources = limits
        }
        linux.devices = devices
    }

    private mutating func adjustNamespaces(
        _ linux: inout RuntimeSpec.Linux, _ changes: [NRILinuxNamespace], _ plugin: String
    ) throws {
        for change in changes {
            let type = Marked(change.type)
            try claims.claim(.namespace, type.name, by: plugin)
            var namespaces = (linux.namespaces ?? []).filter { $0.type != type.name }
            if !type.isRemoval {
                namespaces.append(.init(type: type.name, path: change.path.isEmpty ? nil : change.path))
            }
            linux.namespaces = namespaces
        }
    }

    private mutating func adjust(_ linux: inout RuntimeSpec.Linux, _ change: NRILinuxRdt, _ plugin: String) throws {
        if change.remove {
            for field in [NRIField.rdtClosID, .rdtSchemata, .rdtEnableMonitoring] { claims.release(field) }
            linux.intelRdt = nil
        }
        var rdt = linux.intelRdt ?? .init()
        if change.hasClosID {
            try claims.claim(.rdtClosID, by: plugin)
            rdt.closID = change.closID.value
        }
        if change.hasSchemata {
            try claims.claim(.rdtSchemata, by: plugin)
            rdt.schemata = change.schemata.value
        }
        if change.hasEnableMonitoring {
            try claims.claim(.rdtEnableMonitoring, by: plugin)
            rdt.enableMonitoring = change.enableMonitoring.value
        }
        if rdt != .init() { linux.intelRdt = rdt }
    }

    private mutating func adjust(
        _ linux: inout RuntimeSpec.Linux, _ change: NRILinuxMemoryPolicy, _ plugin: String
    ) throws {
        try claims.claim(.memoryPolicy, by: plugin)
        guard let mode = Words.word(change.mode.rawValue, in: Words.memoryModes) else {
            throw BerthError.invalid(
                field: "linux.memory_policy.mode of plugin \(plugin)", value: change.mode.rawValue,
                rule: "is not a known mode")
        }
        var policy = RuntimeSpec.Linux.MemoryPolicy(mode: mode)
        policy.nodes = change.nodes.isEmpty ? nil : change.nodes
        policy.flags = change.flags.compactMap { Words.word($0.rawValue, in: Words.memoryFlags) }
        if policy.flags?.isEmpty == true { policy.flags = nil }
        linux.memoryPolicy = policy
    }

    private mutating func adjustProcess(_ changes: NRILinuxContainerAdjustment, _ plugin: String) throws {
        if changes.hasOomScoreAdj {
            try claims.claim(.oomScoreAdj, by: plugin)
            spec.process?.oomScoreAdj = Int(clamping: changes.oomScoreAdj.value)
        }
        if changes.hasIoPriority {
            try claims.claim(.ioPriority, by: plugin)
            let name = Words.word(changes.ioPriority.class.rawValue, in: Words.ioClasses) ?? ""
            spec.process?.ioPriority =
                name.isEmpty ? nil : .init(class: name, priority: Int(changes.ioPriority.priority))
        }
        if changes.hasScheduler {
            try claims.claim(.linuxScheduler, by: plugin)
            let wanted = changes.scheduler
            let name = Words.word(wanted.policy.rawValue, in: Words.policies) ?? ""
            guard !name.isEmpty else {
                spec.process?.scheduler = nil
                return
            }
            var scheduler = RuntimeSpec.Process.Scheduler(policy: name)
            scheduler.nice = wanted.nice == 0 ? nil : wanted.nice
            scheduler.priority = wanted.priority == 0 ? nil : wanted.priority
            let flags = wanted.flags.compactMap { Words.word($0.rawValue, in: Words.schedulerFlags) }
            scheduler.flags = flags.isEmpty ? nil : flags
            scheduler.runtime = wanted.runtime == 0 ? nil : wanted.runtime
            scheduler.deadline = wanted.deadline == 0 ? nil : wanted.deadline
            scheduler.period = wanted.period == 0 ? nil : wanted.period
            spec.process?.scheduler = scheduler
        }
    }
}
