struct PodSecurityContext: KubernetesObject {
    static let unsupported: Set<String> = ["seLinuxOptions", "seLinuxChangePolicy", "windowsOptions"]

    struct Sysctl: KubernetesObject {
        var name: String
        var value: String
    }

    enum GroupChangePolicy: String, StringEnumeration {
        case onRootMismatch = "OnRootMismatch"
        case always = "Always"
    }

    enum SupplementalPolicy: String, StringEnumeration {
        case merge = "Merge"
        case strict = "Strict"
    }

    var runAsUser: Int64?
    var runAsGroup: Int64?
    var runAsNonRoot: Bool?
    var supplementalGroups: [Int64]?
    var supplementalGroupsPolicy: SupplementalPolicy?
    var fsGroup: Int64?
    var fsGroupChangePolicy: GroupChangePolicy?
    var sysctls: [Sysctl]?
    var seccompProfile: SecurityProfile?
    var appArmorProfile: SecurityProfile?
}

struct SecurityContext: KubernetesObject {
    static let unsupported: Set<String> = ["seLinuxOptions", "windowsOptions"]

    struct Capabilities: KubernetesObject {
        var add: [String]?
        var drop: [String]?
    }

    enum ProcMount: String, StringEnumeration {
        case `default` = "Default"
        case unmasked = "Unmasked"
    }

    var capabilities: Capabilities?
    var privileged: Bool?
    var runAsUser: Int64?
    var runAsGroup: Int64?
    var runAsNonRoot: Bool?
    var readOnlyRootFilesystem: Bool?
    var allowPrivilegeEscalation: Bool?
    var procMount: ProcMount?
    var seccompProfile: SecurityProfile?
    var appArmorProfile: SecurityProfile?
}

/// A seccomp or AppArmor profile.
struct SecurityProfile: KubernetesObject {
    enum Kind: String, StringEnumeration {
        case runtimeDefault = "RuntimeDefault"
        case unconfined = "Unconfined"
        case localhost = "Localhost"
    }

    var type: Kind
    var localhostProfile: String?
}
