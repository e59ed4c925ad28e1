internal import CRIAPI
internal import SystemPackage

/// A pod's manifest as the CRI's sandbox configuration.
struct SandboxConfigBuilder {
    let pod: Pod
    let configuration: KubeletConfiguration
    let facts: NodeFacts
    /// The file that the pod came from.
    let manifest: String
    let network: PodNetworkFiles

    func build(attempt: UInt32) throws -> Runtime_V1_PodSandboxConfig {
        let hostname = try network.hostname()
        return .with {
            $0.metadata = .with {
                $0.name = pod.metadata.name
                $0.namespace = pod.namespace
                $0.uid = pod.uid
                $0.attempt = attempt
            }
            if !pod.usesHostNetwork { $0.hostname = hostname }
            $0.logDirectory = configuration.logs.appending(pod.logFolder).string
            $0.dnsConfig = network.dns()
            if !pod.usesHostNetwork { $0.portMappings = portMappings }
            $0.labels = Self.labels(pod)
            $0.annotations = (pod.metadata.annotations ?? [:]).merging([
                PodLabel.configSource: "file",
                PodLabel.owner: configuration.root.string,
                PodLabel.manifest: manifest,
            ]) { _, ours in ours }
            $0.linux = linux
        }
    }

    static func labels(_ pod: Pod) -> [String: String] {
        (pod.metadata.labels ?? [:]).merging([
            PodLabel.podName: pod.metadata.name, PodLabel.podNamespace: pod.namespace, PodLabel.podUID: pod.uid,
        ]) { _, ours in ours }
    }

    private var portMappings: [Runtime_V1_PortMapping] {
        pod.allContainers.flatMap { $0.ports ?? [] }.map { port in
            .with {
                $0.containerPort = port.containerPort
                $0.hostPort = port.hostPort ?? 0
                $0.hostIp = port.hostIP ?? ""
                $0.protocol =
                    switch port.protocol ?? .tcp {
                    case .tcp: .tcp
                    case .udp: .udp
                    case .sctp: .sctp
                    }
            }
        }
    }

    private var linux: Runtime_V1_LinuxPodSandboxConfig {
        let context = pod.spec.securityContext
        return .with {
            $0.cgroupParent = PodCgroup.parent(
                uid: pod.uid, qos: pod.qosClass, driver: facts.cgroupDriver, root: configuration.cgroupRoot)
            $0.resources = PodResources.linux(pod)
            $0.sysctls = Dictionary(
                (context?.sysctls ?? []).map { ($0.name.replacing("/", with: "."), $0.value) },
                uniquingKeysWith: { _, last in last })
            $0.securityContext = .with {
                $0.namespaceOptions = Self.namespaces(pod)
                $0.privileged = pod.allContainers.contains { $0.securityContext?.privileged == true }
                $0.supplementalGroups = Self.supplementalGroups(pod)
                $0.supplementalGroupsPolicy = context?.supplementalGroupsPolicy == .strict ? .strict : .merge
                if let user = context?.runAsUser { $0.runAsUser.value = user }
                // A group without a user is refused by the CRI.
                if let group = context?.runAsGroup, context?.runAsUser != nil { $0.runAsGroup.value = group }
                $0.seccomp.profileType = .runtimeDefault
            }
        }
    }

    static func supplementalGroups(_ pod: Pod) -> [Int64] {
        (pod.spec.securityContext?.supplementalGroups ?? []) + [pod.spec.securityContext?.fsGroup].compactMap { $0 }
    }

    static func namespaces(_ pod: Pod) -> Runtime_V1_NamespaceOption {
        .with {
            $0.network = pod.usesHostNetwork ? .node : .pod
            $0.ipc = pod.spec.hostIPC == true ? .node : .pod
            $0.pid =
                if pod.spec.hostPID == true {
                    .node
                } else if pod.spec.shareProcessNamespace == true {
                    .pod
                } else {
                    .container
                }
        }
    }
}
