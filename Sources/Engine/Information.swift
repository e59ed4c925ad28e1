internal import Core
internal import LinuxKernel
internal import Networking
internal import OCISpec
internal import SystemPackage

extension Engine {
    /// Whether pods can run now, with reasons.
    public func status() async -> EngineStatus {
        let network = await network.status()
        let conditions = [
            EngineStatus.Condition(type: "RuntimeReady", isMet: true, reason: "", message: ""),
            EngineStatus.Condition(
                type: "NetworkReady", isMet: network.isReady, reason: network.reason, message: network.message),
        ]
        let handlers = handlerNames.sorted().map { name in
            let features = programs[name]?.features
            return EngineStatus.Handler(
                name: name,
                recursiveReadonlyMounts: host.hasRecursiveReadonlyMounts
                    && features?.hasRecursiveReadonlyMounts != false,
                userNamespaces: host.hasUserNamespaces && features?.hasUserNamespaces != false)
        }
        let about = About(
            version: Release.version, root: configuration.root.string, state: configuration.state.string,
            launcher: launcher.executable.string, cgroupLayout: facts.cgroups.layout.rawValue,
            network: network.provider, networkWarnings: network.warnings)
        return EngineStatus(
            conditions: conditions, handlers: handlers, information: ["config": Self.json(about)])
    }

    /// What a verbose status tells beyond the CRI's fields: one JSON document under "info".
    public func information(of pod: PodSandbox) throws -> [String: String] {
        let about = PodInformation(
            pod, layout: layout, pinned: pinnedNamespaces(of: pod), networkProblem: networkUpkeep.problem(of: pod.id))
        return ["info": Self.json(about)]
    }

    public func information(of container: Container) throws -> [String: String] {
        var information = ContainerInformation(container)
        if var spec = try? specification(of: container) {
            let limits = ResourceTranslation.current(spec.linux?.resources, container.resources, on: host)
            spec.linux?.resources = limits
            information.runtimeSpec = spec
        }
        return ["info": Self.json(information)]
    }

    public func information(of image: ImageStatus) -> [String: String] {
        ["info": Self.json(ImageInformation(imageSpec: image.config, manifest: image.manifest.description))]
    }

    /// The configuration that the container was made with, from its directory.
    func specification(of container: Container) throws -> RuntimeSpec {
        let path = layout.configuration(of: container.id)
        let read = { () throws -> RuntimeSpec in
            do {
                let bytes = try Files.read(path, limit: 16 << 20)
                return self.profiles.shared(try StrictJSON.decode(RuntimeSpec.self, from: bytes, what: "\(path)"))
            } catch let error as Errno {
                throw BerthError(.internal, "could not read \(path)", cause: error)
            }
        }
        return try live[container.id]?.spec(read) ?? read()
    }

    private static func json(_ value: some Encodable) -> String {
        (try? StrictJSON.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

private struct About: Encodable {
    /// Bytes of a log line that are not split (BL_LOG_DEFAULT_LINE of the launcher).
    let maxContainerLogLineSize = 16384
    let version: String
    let root: String
    let state: String
    let launcher: String
    let cgroupLayout: String
    let network: String
    let networkWarnings: [String]
}

/// Beside what is of Berth alone, the fields that people and scripts read of containerd's document.
private struct PodInformation: Encodable {
    let runtimeHandler: String
    let runtimeSpec: RuntimeSpec
    let netNamespaceClosed: Bool
    let cniResult: NetworkInformation?
    let overhead: ResourceInformation?
    let resources: ResourceInformation?
    let config: PodSandboxConfig
    let cgroup: String
    let namespaces: String
    let interfaces: [String]
    let initPID: Int32?
    /// What the network found when the daemon was last started.
    let networkProblem: String?

    init(
        _ pod: PodSandbox, layout: StateLayout, pinned: [(type: String, path: String)], networkProblem: String?
    ) {
        self.networkProblem = networkProblem
        config = pod.config
        cgroup = pod.cgroup
        namespaces = layout.namespaces(ofPod: pod.id).string
        interfaces = pod.network?.interfaces.map(\.name) ?? []
        initPID = pod.initProcess?.pid
        runtimeHandler = pod.runtimeHandler
        // The namespaces that the pod's containers join.
        var spec = RuntimeSpec()
        var linux = RuntimeSpec.Linux()
        linux.namespaces = pinned.map { .init(type: $0.type, path: $0.path) }
        spec.linux = linux
        runtimeSpec = spec
        netNamespaceClosed = !pod.hasHostNetwork && !pinned.contains { $0.type == "network" }
        cniResult = pod.network.map(NetworkInformation.init)
        overhead = pod.overhead.map(ResourceInformation.init)
        resources = pod.resources.map(ResourceInformation.init)
    }
}

/// A CNI result as containerd tells it.
private struct NetworkInformation: Encodable {
    struct Address: Encodable {
        let IP: String
        let Gateway: String?
    }

    struct Interface: Encodable {
        let IPConfigs: [Address]?
        let Mac: String
        let Sandbox: String
    }

    let Interfaces: [String: Interface]

    init(_ network: PodNetworkResult) {
        let addresses = network.addresses.map { prefix in
            let family = prefix.address.family
            let route = network.routes.first { $0.destination.length == 0 && $0.destination.address.family == family }
            return Address(IP: "\(prefix.address)", Gateway: route?.gateway.map { "\($0)" })
        }
        // The result does not say whose the addresses are where the pod has several interfaces; the first has the pod's.
        let main = network.interfaces.first { $0.sandbox != nil }?.name
        let pairs = network.interfaces.map { interface in
            (
                interface.name,
                Interface(
                    IPConfigs: interface.name == main ? addresses : nil, Mac: interface.mac,
                    Sandbox: interface.sandbox ?? "")
            )
        }
        Interfaces = Dictionary(pairs) { first, _ in first }
    }
}

/// CRI's `ContainerResources` in its JSON form.
private struct ResourceInformation: Encodable {
    struct Linux: Encodable {
        enum CodingKeys: String, CodingKey {
            case cpuPeriod = "cpu_period"
            case cpuQuota = "cpu_quota"
            case cpuShares = "cpu_shares"
            case memoryLimit = "memory_limit_in_bytes"
            case memorySwapLimit = "memory_swap_limit_in_bytes"
            case oomScoreAdjustment = "oom_score_adj"
            case cpusetCPUs = "cpuset_cpus"
            case cpusetMemories = "cpuset_mems"
            case unified
        }

        let cpuPeriod: Int64
        let cpuQuota: Int64
        let cpuShares: Int64
        let memoryLimit: Int64
        let memorySwapLimit: Int64
        let oomScoreAdjustment: Int64
        let cpusetCPUs: String
        let cpusetMemories: String
        let unified: [String: String]
    }

    let linux: Linux

    init(_ resources: LinuxResources) {
        linux = Linux(
            cpuPeriod: resources.cpuPeriod, cpuQuota: resources.cpuQuota, cpuShares: resources.cpuShares,
            memoryLimit: resources.memoryLimit, memorySwapLimit: resources.memorySwapLimit,
            oomScoreAdjustment: resources.oomScoreAdjustment, cpusetCPUs: resources.cpusetCPUs,
            cpusetMemories: resources.cpusetMemories, unified: resources.unified)
    }
}

private struct ContainerInformation: Encodable {
    let sandboxID: String
    let pid: Int32
    let monitorPID: Int32?
    let cgroup: String
    let warnings: [String]
    let config: ContainerConfig
    var runtimeSpec: RuntimeSpec?

    init(_ container: Container) {
        sandboxID = container.podID
        pid = container.state.isRunning || container.state == .created ? container.process?.pid ?? 0 : 0
        monitorPID = container.monitor?.pid
        cgroup = container.cgroup
        warnings = container.warnings
        config = container.config
    }
}

private struct ImageInformation: Encodable {
    let imageSpec: ImageConfig
    let manifest: String
}
