internal import LinuxKernel
internal import OCISpec

/// The features document of the runtime specification (features.md), with the cgroup layout found as an annotation.
public struct RuntimeFeatures: Encodable, Sendable {
    let ociVersionMin = "1.0.0"
    let ociVersionMax = RuntimeSpec.version
    let hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    let mountOptions = MountOptions.known
    let linux: LinuxFeatures
    let annotations: [String: String]
    let potentiallyUnsafeConfigAnnotations: [String] = []

    enum CodingKeys: String, CodingKey {
        case ociVersionMin, ociVersionMax, hooks, mountOptions, linux, annotations, potentiallyUnsafeConfigAnnotations
    }

    public init(facts: HostFacts) {
        linux = LinuxFeatures(facts)
        annotations = [
            "io.github.seccomp.libseccomp.version": SeccompProfile.libraryVersion,
            "dev.berth.cgroup.layout": facts.cgroups.layout.rawValue,
            "dev.berth.cgroup.devices":
                facts.cgroups.hierarchy(of: "devices") != nil ? "files" : facts.hasDevicePrograms ? "bpf" : "none",
            "dev.berth.cgroup.controllers": facts.cgroups.controllers.joined(separator: ","),
            "dev.berth.capability.sys_resource":
                facts.capabilities & Capability.sysResource.bit != 0 ? "true" : "false",
        ]
    }

    struct Toggle: Encodable {
        let enabled: Bool
    }

    struct LinuxFeatures: Encodable {
        let namespaces = RuntimeSpec.namespaceTypes.sorted()
        let capabilities: [String]
        let cgroup: CgroupFeatures
        let seccomp = SeccompFeatures()
        let apparmor: Toggle
        let selinux: Toggle
        let intelRdt = IntelRdtFeatures()
        let memoryPolicy = MemoryPolicyFeatures()
        let mountExtensions = MountExtensions()
        let netDevices = Toggle(enabled: true)

        enum CodingKeys: String, CodingKey {
            case namespaces, capabilities, cgroup, seccomp, apparmor, selinux, intelRdt, memoryPolicy, mountExtensions
            case netDevices
        }

        init(_ facts: HostFacts) {
            capabilities = Capability.allCases.filter { $0.rawValue <= facts.lastCapability }.map(\.name)
            cgroup = CgroupFeatures(facts.cgroups.layout)
            apparmor = Toggle(enabled: facts.hasAppArmor)
            selinux = Toggle(enabled: facts.hasSELinux)
        }
    }

    struct CgroupFeatures: Encodable {
        let v1: Bool
        let v2: Bool
        let systemd = true
        let systemdUser = true
        let rdma = true

        enum CodingKeys: String, CodingKey { case v1, v2, systemd, systemdUser, rdma }

        init(_ layout: CgroupLayout) {
            v1 = layout != .unified
            v2 = layout != .legacy
        }
    }

    struct SeccompFeatures: Encodable {
        let enabled = true
        let actions = SeccompProfile.actions
        let operators = SeccompProfile.operatorNames
        let archs = SeccompProfile.architectureNames
        let knownFlags = SeccompProfile.flagNames
        let supportedFlags = SeccompProfile.flagNames

        enum CodingKeys: String, CodingKey { case enabled, actions, operators, archs, knownFlags, supportedFlags }
    }

    struct IntelRdtFeatures: Encodable {
        let enabled = true
        let schemata = true
        let monitoring = true

        enum CodingKeys: String, CodingKey { case enabled, schemata, monitoring }
    }

    struct MemoryPolicyFeatures: Encodable {
        let modes = MemoryPolicy.modes
        let flags = MemoryPolicy.flags.map(\.name)

        enum CodingKeys: String, CodingKey { case modes, flags }
    }

    struct MountExtensions: Encodable {
        let idmap = Toggle(enabled: true)
        enum CodingKeys: String, CodingKey { case idmap }
    }
}
