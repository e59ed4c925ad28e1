internal import Foundation

/// A v1 Pod: the parts of it that this kubelet honours. Field meanings are those of the Kubernetes API reference, core/v1.
struct Pod: KubernetesObject {
    static let dropped: Set<String> = ["status"]

    var apiVersion: String
    var kind: String
    var metadata: ObjectMeta
    var spec: PodSpec
    var status: PodStatus?
}

struct ObjectMeta: KubernetesObject {
    static let dropped: Set<String> = [
        "creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid",
    ]
    static let unsupported: Set<String> = [
        "generateName", "ownerReferences", "finalizers", "deletionTimestamp", "deletionGracePeriodSeconds",
    ]

    var name: String
    var namespace: String?
    var uid: String?
    var labels: [String: String]?
    var annotations: [String: String]?
}

/// A v1 PodList, as manifests may hold and `/pods` answers.
struct PodList: Encodable, Sendable {
    let apiVersion = "v1"
    let kind = "PodList"
    let metadata: [String: String] = [:]
    var items: [Pod]
}

struct PodSpec: KubernetesObject {
    static let withoutEffect: Set<String> = [
        "affinity", "enableServiceLinks", "nodeName", "nodeSelector", "preemptionPolicy", "priority",
        "priorityClassName", "schedulerName", "tolerations", "topologySpreadConstraints",
    ]
    static let unsupported: Set<String> = [
        "activeDeadlineSeconds", "ephemeralContainers", "hostUsers", "hostnameOverride", "imagePullSecrets", "os",
        "overhead", "readinessGates", "resourceClaims", "resources", "runtimeClassName", "schedulingGates",
        "serviceAccount", "serviceAccountName", "workloadRef",
    ]

    var containers: [Container]
    var initContainers: [Container]?
    var volumes: [Volume]?
    var restartPolicy: PodRestartPolicy?
    var terminationGracePeriodSeconds: Int64?
    var dnsPolicy: DNSPolicy?
    var dnsConfig: PodDNSConfig?
    var hostAliases: [HostAlias]?
    var hostNetwork: Bool?
    var hostPID: Bool?
    var hostIPC: Bool?
    var shareProcessNamespace: Bool?
    var hostname: String?
    var subdomain: String?
    var setHostnameAsFQDN: Bool?
    var automountServiceAccountToken: Bool?
    var securityContext: PodSecurityContext?
}

enum PodRestartPolicy: String, StringEnumeration {
    case always = "Always"
    case onFailure = "OnFailure"
    case never = "Never"
}

enum DNSPolicy: String, StringEnumeration {
    case clusterFirst = "ClusterFirst"
    case clusterFirstWithHostNet = "ClusterFirstWithHostNet"
    case `default` = "Default"
    case none = "None"
}

struct PodDNSConfig: KubernetesObject {
    struct Option: KubernetesObject {
        var name: String
        var value: String?
    }

    var nameservers: [String]?
    var searches: [String]?
    var options: [Option]?
}

struct HostAlias: KubernetesObject {
    var ip: String
    var hostnames: [String]?
}

extension Pod {
    var namespace: String { metadata.namespace ?? "default" }
    var uid: String { metadata.uid ?? "" }
    /// `namespace/name`, by which one pod at a time may run.
    var fullName: String { "\(namespace)/\(metadata.name)" }

    var initContainers: [Container] { spec.initContainers ?? [] }
    /// Init containers first, in the order in which they start.
    var allContainers: [Container] { initContainers + spec.containers }
    var restartPolicy: PodRestartPolicy { spec.restartPolicy ?? .always }
    var gracePeriod: Int64 { spec.terminationGracePeriodSeconds ?? 30 }
    var usesHostNetwork: Bool { spec.hostNetwork ?? false }

    func container(named name: String) -> Container? { allContainers.first { $0.name == name } }

    var hostname: String {
        var name = Substring(spec.hostname ?? metadata.name).prefix(63)
        while name.last == "-" || name.last == "." { name = name.dropLast() }
        return String(name)
    }

    /// Name of the pod's log folder (the layout that log collectors know: `NAMESPACE_NAME_UID`).
    var logFolder: String { "\(namespace)_\(metadata.name)_\(uid)" }
}
