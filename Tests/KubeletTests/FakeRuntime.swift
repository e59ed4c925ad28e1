internal import CRIAPI
internal import Core
internal import Foundation

@testable internal import Kubelet

/// A CRI runtime in memory: containers run until a test lets them end.
actor FakeRuntime: ContainerRuntime {
    var sandboxes: [String: Runtime_V1_PodSandbox] = [:]
    var containers: [String: Runtime_V1_ContainerStatus] = [:]
    var containerSandbox: [String: String] = [:]
    var configs: [String: Runtime_V1_ContainerConfig] = [:]
    var sandboxConfigs: [String: Runtime_V1_PodSandboxConfig] = [:]
    var images: Set<String> = ["busybox:local"]
    /// Calls in their order, such as `start web/0`.
    private(set) var calls: [String] = []
    /// Errors that a call throws, by its name, until taken away.
    var failures: [String: BerthError] = [:]
    /// Exit code of a command in a container, by the command's first word.
    var execResults: [String: Int32] = [:]
    /// Containers that end by themselves as soon as they have started, by name, with their exit code.
    var endsAtOnce: [String: Int32] = [:]

    private var clock: Int64 = Int64(Date().timeIntervalSince1970 * 1e9)
    private var counter = 0

    func fail(_ call: String, with error: BerthError?) { failures[call] = error }
    func answer(_ command: String, with code: Int32) { execResults[command] = code }
    func end(atOnce name: String, with code: Int32?) { endsAtOnce[name] = code }
    func add(image: String) { images.insert(image) }
    func clearCalls() { calls = [] }

    /// Ends the newest running container of that name.
    func end(_ name: String, with code: Int32) {
        for (id, status) in containers where status.metadata.name == name && status.state == .containerRunning {
            finish(id, code: code)
        }
    }

    /// As after a restart of the machine: everything has ended.
    func crash() {
        for id in sandboxes.keys { sandboxes[id]?.state = .sandboxNotready }
        for (id, status) in containers where status.state == .containerRunning { finish(id, code: 255) }
    }

    private func finish(_ id: String, code: Int32) {
        containers[id]?.state = .containerExited
        containers[id]?.exitCode = code
        containers[id]?.finishedAt = tick()
    }

    private func tick() -> Int64 {
        clock = max(clock + 1, Int64(Date().timeIntervalSince1970 * 1e9))
        return clock
    }

    private func note(_ call: String, _ detail: String) throws {
        calls.append("\(call) \(detail)")
        if let error = failures[call] { throw error }
    }

    private func title(_ id: String) -> String {
        containers[id].map { "\($0.metadata.name)/\($0.metadata.attempt)" } ?? id
    }

    // MARK: ContainerRuntime

    func version() async throws -> Runtime_V1_VersionResponse { .with { $0.runtimeName = "fake" } }
    func status() async throws -> Runtime_V1_RuntimeStatus { Runtime_V1_RuntimeStatus() }
    func cgroupDriver() async throws -> Runtime_V1_CgroupDriver? { .cgroupfs }

    func runPodSandbox(_ config: Runtime_V1_PodSandboxConfig) async throws -> String {
        try note("runSandbox", "\(config.metadata.name)/\(config.metadata.attempt)")
        counter += 1
        let id = "sandbox\(counter)"
        let created = tick()
        sandboxConfigs[id] = config
        sandboxes[id] = .with {
            $0.id = id
            $0.metadata = config.metadata
            $0.labels = config.labels
            $0.annotations = config.annotations
            $0.state = .sandboxReady
            $0.createdAt = created
        }
        return id
    }

    func stopPodSandbox(_ id: String) async throws {
        try note("stopSandbox", id)
        sandboxes[id]?.state = .sandboxNotready
        for (container, sandbox) in containerSandbox
        where sandbox == id && containers[container]?.state == .containerRunning {
            finish(container, code: 137)
        }
    }

    func removePodSandbox(_ id: String) async throws {
        try note("removeSandbox", id)
        sandboxes[id] = nil
        for (container, sandbox) in containerSandbox where sandbox == id {
            containers[container] = nil
            containerSandbox[container] = nil
        }
    }

    func podSandboxStatus(_ id: String) async throws -> Runtime_V1_PodSandboxStatus {
        guard let sandbox = sandboxes[id] else { throw BerthError.notFound("sandbox", id) }
        return .with {
            $0.id = id
            $0.state = sandbox.state
            $0.network.ip = "127.0.0.1"
        }
    }

    func listPodSandboxes(labels: [String: String]) async throws -> [Runtime_V1_PodSandbox] {
        if let error = failures["list"] { throw error }
        return sandboxes.values.filter { sandbox in labels.allSatisfy { sandbox.labels[$0.key] == $0.value } }
    }

    func createContainer(
        in sandbox: String, _ config: Runtime_V1_ContainerConfig, sandboxConfig: Runtime_V1_PodSandboxConfig
    ) async throws -> String {
        try note("create", "\(config.metadata.name)/\(config.metadata.attempt)")
        let isTaken = containers.values.contains {
            $0.metadata == config.metadata && $0.labels[PodLabel.podUID] == config.labels[PodLabel.podUID]
        }
        if isTaken { throw BerthError(.alreadyExists, "container \(config.metadata.name) exists") }
        counter += 1
        let id = "container\(counter)"
        let created = tick()
        configs[id] = config
        containerSandbox[id] = sandbox
        containers[id] = .with {
            $0.id = id
            $0.metadata = config.metadata
            $0.labels = config.labels
            $0.annotations = config.annotations
            $0.state = .containerCreated
            $0.createdAt = created
            $0.logPath = "\(sandboxConfig.logDirectory)/\(config.logPath)"
        }
        return id
    }

    func startContainer(_ id: String) async throws {
        try note("start", title(id))
        containers[id]?.state = .containerRunning
        containers[id]?.startedAt = tick()
        if let code = containers[id].flatMap({ endsAtOnce[$0.metadata.name] }) { finish(id, code: code) }
    }

    func stopContainer(_ id: String, timeout: Int64) async throws {
        try note("stop", "\(title(id)) \(timeout)s")
        if containers[id]?.state == .containerRunning { finish(id, code: 137) }
    }

    func removeContainer(_ id: String) async throws {
        try note("remove", title(id))
        containers[id] = nil
        containerSandbox[id] = nil
    }

    func listContainers(labels: [String: String]) async throws -> [Runtime_V1_Container] {
        containers.values.filter { container in labels.allSatisfy { container.labels[$0.key] == $0.value } }.map {
            status in
            .with {
                $0.id = status.id
                $0.podSandboxID = containerSandbox[status.id] ?? ""
                $0.metadata = status.metadata
                $0.state = status.state
                $0.createdAt = status.createdAt
                $0.labels = status.labels
                $0.annotations = status.annotations
            }
        }
    }

    func containerStatus(_ id: String) async throws -> Runtime_V1_ContainerStatus {
        guard let status = containers[id] else { throw BerthError.notFound("container", id) }
        return status
    }

    func execSync(_ id: String, command: [String], timeout: Int64) async throws -> Runtime_V1_ExecSyncResponse {
        let word = command.first ?? ""
        try note("exec", "\(title(id)) \(word)")
        return .with { $0.exitCode = execResults[word] ?? 0 }
    }

    func reopenContainerLog(_ id: String) async throws { try note("reopen", title(id)) }

    func imageStatus(_ reference: String) async throws -> Runtime_V1_Image? {
        images.contains(reference) ? .with { $0.id = reference } : nil
    }

    func pullImage(_ reference: String, sandboxConfig: Runtime_V1_PodSandboxConfig) async throws -> String {
        try note("pull", reference)
        images.insert(reference)
        return reference
    }
}
