internal import Core
internal import SystemPackage
public import LinuxKernel
public import OCISpec

/// Device access of a container's cgroup.
public enum DeviceRules {
    public typealias Rule = RuntimeSpec.Linux.Resources.DeviceRule

    /// What every container may use, whatever its rules (the default devices, terminals and mknod of any number).
    public static let always: [Rule] =
        [
            Rule(allow: true, type: "c", access: "m"), Rule(allow: true, type: "b", access: "m"),
        ]
        + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)].map { major, minor in
            Rule(allow: true, type: "c", major: major, minor: minor, access: "rwm")
        } + [Rule(allow: true, type: "c", major: 136, access: "rwm")]

    /// The rules of `spec` in their order, then `always`. A device of `linux.devices` is made; whether it may be used is for
    /// these rules to say.
    public static func effective(_ spec: RuntimeSpec) -> [Rule] {
        let rules = spec.linux?.resources?.devices ?? []
        guard !rules.isEmpty else { return [] }
        return rules + always
    }

    /// For devices.allow and devices.deny of v1.
    public static func legacyWrites(_ rules: [Rule]) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        var seen = SeenTexts()
        for rule in rules {
            let file = rule.allow ? "devices.allow" : "devices.deny"
            let type = rule.type ?? "a"
            let access = (rule.access ?? "").filter { $0 != "a" }
            let everything =
                (type == "a" || type.isEmpty) && (rule.major ?? -1) < 0 && (rule.minor ?? -1) < 0
            let write: CgroupWrite
            if everything {
                // Starts anew: what was written before no longer matters.
                write = CgroupWrite("devices", file, "a")
                writes.removeAll()
                seen = SeenTexts()
            } else {
                let major = rule.major.flatMap { $0 < 0 ? nil : "\($0)" } ?? "*"
                let minor = rule.minor.flatMap { $0 < 0 ? nil : "\($0)" } ?? "*"
                write = CgroupWrite(
                    "devices", file, "\(type) \(major):\(minor) \(access.isEmpty ? "rwm" : access)")
            }
            if seen.insert("\(file) \(write.value)") { writes.append(write) }
        }
        return writes
    }

    /// Attaches the rules of `spec` as a program to a cgroup2 that has the container's processes. v1 has files for
    /// them, which are part of the plan.
    public static func attach(_ spec: RuntimeSpec, to cgroup: ContainerCgroup) throws {
        guard cgroup.host.hierarchy(of: "devices") == nil, let path = cgroup.cgroup.unifiedDirectory else { return }
        let rules = effective(spec)
        guard !rules.isEmpty else { return }
        do {
            try DeviceProgram(rules).attach(to: path)
        } catch Errno.invalidArgument where !DeviceProgram.isSupported {
            ContainerRuntime.warn(
                "the devices of cgroup \(cgroup.path) are not limited: this kernel has no BPF_CGROUP_DEVICE (CONFIG_CGROUP_BPF)"
            )
        } catch {
            throw BerthError(.failedPrecondition, "limit the devices of cgroup \(cgroup.path)", cause: error)
        }
    }
}
