internal import Core
internal import LinuxKernel
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
        ["info": Self.json(PodInformation(pod, layout: layout, networkProblem: networkUpkeep.problem(of: pod.id)))]
    }

    public func information(of container: Container) throws -> [String: String] {
        var information = ContainerInformation(container)
        information.runtimeSpec = try? specification(of: container)
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
    let version: String
    let root: String
    let state: String
    let launcher: String
    let cgroupLayout: String
    let network: String
    let networkWarnings: [String]
}

private struct PodInformation: Encodable {
    let config: PodSandboxConfig
    let cgroup: String
    let namespaces: String
    let interfaces: [String]
    let initPID: Int32?
    /// What the network found when the daemon was last started.
    let networkProblem: String?

    init(_ pod: PodSandbox, layout: StateLayout, networkProblem: String?) {
        self.networkProblem = networkProblem
        config = pod.config
        cgroup = pod.cgroup
        namespaces = layout.namespaces(ofPod: pod.id).string
        interfaces = pod.network?.interfaces.map(\.name) ?? []
        initPID = pod.initProcess?.pid
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
