internal import Core
internal import Synchronization

/// Every pod and container as it is now. Nothing here waits: lists and statuses read it while lifecycle calls work.
final class Registry: Sendable {
    private struct State {
        var pods: [String: PodSandbox] = [:]
        var containers: [String: Container] = [:]
    }

    private let state = Mutex(State())

    // MARK: Pods

    func pods() -> [PodSandbox] {
        state.withLock { Array($0.pods.values) }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    /// By its ID or the start of it.
    func pod(_ id: String) throws -> PodSandbox {
        try state.withLock { try Self.find(id, in: $0.pods, kind: "pod sandbox") }
    }

    func pod(exactly id: String) -> PodSandbox? {
        state.withLock { $0.pods[id] }
    }

    func pod(named reservedName: String) -> PodSandbox? {
        state.withLock { state in state.pods.values.first { $0.config.metadata.reservedName == reservedName } }
    }

    func insert(_ pod: PodSandbox) {
        state.withLock { $0.pods[pod.id] = pod }
    }

    func removePod(_ id: String) {
        state.withLock { $0.pods[id] = nil }
    }

    /// Changes a pod; a change of its state is checked against the diagram of `PodState`.
    @discardableResult
    func updatePod(_ id: String, _ change: (inout PodSandbox) throws -> Void) throws -> PodSandbox {
        try state.withLock { state in
            guard var pod = state.pods[id] else { throw BerthError.notFound("pod sandbox", id) }
            let before = pod.state
            try change(&pod)
            if pod.state != before { try before.checkTransition(to: pod.state, of: id) }
            state.pods[id] = pod
            return pod
        }
    }

    // MARK: Containers

    func containers(in podID: String? = nil) -> [Container] {
        state.withLock { state in state.containers.values.filter { podID == nil || $0.podID == podID } }
            .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    func container(_ id: String) throws -> Container {
        try state.withLock { try Self.find(id, in: $0.containers, kind: "container") }
    }

    func container(exactly id: String) -> Container? {
        state.withLock { $0.containers[id] }
    }

    func container(named metadata: ContainerMetadata, in podID: String) -> Container? {
        state.withLock { state in
            state.containers.values.first { $0.podID == podID && $0.config.metadata == metadata }
        }
    }

    /// - Throws: `BerthError` (`failedPrecondition`) where the container's pod is not ready.
    func insert(_ container: Container) throws {
        try state.withLock { state in
            guard let pod = state.pods[container.podID] else {
                throw BerthError.notFound("pod sandbox", container.podID)
            }
            try pod.checkReady()
            state.containers[container.id] = container
        }
    }

    func restore(_ container: Container) {
        state.withLock { $0.containers[container.id] = container }
    }

    func removeContainer(_ id: String) {
        state.withLock { $0.containers[id] = nil }
    }

    /// Changes a container; a change of its state is checked against the diagram of `ContainerState`.
    @discardableResult
    func updateContainer(_ id: String, _ change: (inout Container) throws -> Void) throws -> Container {
        try state.withLock { state in
            guard var container = state.containers[id] else { throw BerthError.notFound("container", id) }
            let before = container.state
            try change(&container)
            if container.state != before { try before.checkTransition(to: container.state, of: id) }
            state.containers[id] = container
            return container
        }
    }

    private static func find<Item>(_ id: String, in items: [String: Item], kind: String) throws -> Item {
        if let item = items[id] { return item }
        let matches = id.isEmpty ? [] : items.filter { $0.key.hasPrefix(id) }
        guard matches.count <= 1 else {
            throw BerthError(.invalidArgument, "\(kind) \"\(id)\" is ambiguous: it starts the IDs of \(matches.count)")
        }
        guard let item = matches.first?.value else { throw BerthError.notFound(kind, id) }
        return item
    }
}
