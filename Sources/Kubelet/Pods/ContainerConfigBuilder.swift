internal import CRIAPI
internal import Foundation

/// A container's manifest as the CRI's container configuration.
struct ContainerConfigBuilder {
    let pod: Pod
    let configuration: KubeletConfiguration
    let facts: NodeFacts
    let downward: DownwardFields

    /// - Parameters:
    ///   - image: the reference that the runtime gave for the image.
    ///   - mounts: volumes and the agent's own files, with their host paths.
    func build(
        _ container: Container, attempt: UInt32, image: String, mounts: [Runtime_V1_Mount]
    ) -> Runtime_V1_ContainerConfig {
        let environment = EnvironmentExpansion.environment(container, downward)
        let values = Dictionary(environment.map { ($0.name, $0.value) }, uniquingKeysWith: { _, last in last })
        return .with {
            $0.metadata = .with {
                $0.name = container.name
                $0.attempt = attempt
            }
            $0.image = .with {
                $0.image = image
                $0.userSpecifiedImage = container.image
            }
            $0.command = (container.command ?? []).map { EnvironmentExpansion.expand($0, values) }
            $0.args = (container.args ?? []).map { EnvironmentExpansion.expand($0, values) }
            $0.workingDir = container.workingDir ?? ""
            $0.envs = environment.map { variable in
                .with {
                    $0.key = variable.name
                    $0.value = Data(variable.value.utf8)
                }
            }
            $0.mounts = mounts
            $0.labels = [
                PodLabel.podName: pod.metadata.name, PodLabel.podNamespace: pod.namespace, PodLabel.podUID: pod.uid,
                PodLabel.container: container.name,
            ]
            $0.annotations = annotations(container, attempt: attempt)
            $0.logPath = "\(container.name)/\(attempt).log"
            $0.stdin = container.stdin ?? false
            $0.stdinOnce = container.stdinOnce ?? false
            $0.tty = container.tty ?? false
            $0.linux = .with {
                $0.resources = PodResources.linux(container, qos: pod.qosClass, nodeMemory: facts.memory)
                $0.securityContext = security(container)
            }
        }
    }

    private func annotations(_ container: Container, attempt: UInt32) -> [String: String] {
        var annotations = [
            PodLabel.restartCount: "\(attempt)",
            PodLabel.terminationMessagePath: container.terminationMessagePath ?? "",
            PodLabel.terminationMessagePolicy: (container.terminationMessagePolicy ?? .file).rawValue,
            PodLabel.gracePeriod: "\(pod.gracePeriod)",
        ]
        if let hook = container.lifecycle?.preStop, let data = try? JSONEncoder().encode(hook) {
            annotations[PodLabel.preStop] = String(decoding: data, as: UTF8.self)
        }
        if let index = pod.initContainers.firstIndex(where: { $0.name == container.name }), container.isSidecar {
            annotations[PodLabel.sidecarIndex] = "\(index)"
        }
        return annotations
    }

    private func security(_ container: Container) -> Runtime_V1_LinuxContainerSecurityContext {
        let own = container.securityContext
        let shared = pod.spec.securityContext
        let privileged = own?.privileged == true
        return .with {
            $0.privileged = privileged
            $0.namespaceOptions = SandboxConfigBuilder.namespaces(pod)
            $0.capabilities.addCapabilities = own?.capabilities?.add ?? []
            $0.capabilities.dropCapabilities = own?.capabilities?.drop ?? []
            if let user = own?.runAsUser ?? shared?.runAsUser { $0.runAsUser.value = user }
            if let group = own?.runAsGroup ?? shared?.runAsGroup { $0.runAsGroup.value = group }
            $0.supplementalGroups = SandboxConfigBuilder.supplementalGroups(pod)
            $0.supplementalGroupsPolicy = shared?.supplementalGroupsPolicy == .strict ? .strict : .merge
            $0.readonlyRootfs = own?.readOnlyRootFilesystem ?? false
            $0.noNewPrivs = own?.allowPrivilegeEscalation == false
            $0.seccomp = seccomp(own?.seccompProfile ?? shared?.seccompProfile, privileged: privileged)
            if let profile = own?.appArmorProfile ?? shared?.appArmorProfile {
                $0.apparmor = Self.profile(profile)
            }
            if !privileged, own?.procMount != .unmasked {
                $0.maskedPaths = Self.maskedPaths
                $0.readonlyPaths = Self.readonlyPaths
            }
        }
    }

    private func seccomp(_ profile: SecurityProfile?, privileged: Bool) -> Runtime_V1_SecurityProfile {
        if let profile { return Self.profile(profile) }
        return .with { $0.profileType = configuration.seccompDefault && !privileged ? .runtimeDefault : .unconfined }
    }

    private static func profile(_ profile: SecurityProfile) -> Runtime_V1_SecurityProfile {
        .with {
            switch profile.type {
            case .runtimeDefault: $0.profileType = .runtimeDefault
            case .unconfined: $0.profileType = .unconfined
            case .localhost:
                $0.profileType = .localhost
                $0.localhostRef = profile.localhostProfile ?? ""
            }
        }
    }

    /// The paths that container runtimes hide or protect by default; the CRI leaves it to the caller to name them.
    static let maskedPaths = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    static let readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
}
