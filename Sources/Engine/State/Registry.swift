internal import Core
internal import Synchronization

/// Every pod and container as it is now. Nothing here waits: lists and statuses read it while lifecycle calls work.
final class Registry: Sendable {
    private struct State {
        var pods: [String: Held<PodSandbox>] = [:]
        var containers: [String: Held<Container>] = [:]
    }

    /// One of hundreds that a search passes over: to copy a pod or container counts a reference for each of its fields.
    private final class Held<Item: Sendable>: Sendable {
        let item: Item

        init(_ item: Item) {
            self.item = item
        }
    }

    private let state = Mutex(State())

    // MARK: Pods

    /// Those that `isWanted`, the oldest first.
    func pods(where isWanted: (PodSandbox) -> Bool = { _ in true }) -> [PodSandbox] {
        state.withLock { state in state.pods.values.filter { isWanted($0.item) } }
            .sorted { ($0.item.createdAt, $0.item.id) < ($1.item.createdAt, $1.item.id) }.map(\.item)
    }

    /// By its ID or the start of it.
    func pod(_ id: String) throws -> PodSandbox {
        try state.withLock { try Self.find(id, in: $0.pods, kind: "pod sandbox") }
    }

    func pod(exactly id: String) -> PodSandbox? {
        state.withLock { $0.pods[id]?.item }
    }

    func pod(named metadata: PodSandboxMetadata) -> PodSandbox? {
        state.withLock { state in state.pods.values.first { $0.item.config.metadata == metadata }?.item }
    }

    func insert(_ pod: PodSandbox) {
        state.withLock { $0.pods[pod.id] = Held(pod) }
    }

    func removePod(_ id: String) {
        state.withLock { $0.pods[id] = nil }
    }

    /// Changes a pod; a change of its state is checked against the diagram of `PodState`.
    @discardableResult
    func updatePod(_ id: String, _ change: (inout PodSandbox) throws -> Void) throws -> PodSandbox {
        try state.withLock { state in
            guard var pod = state.pods[id]?.item else { throw BerthError.notFound("pod sandbox", id) }
            let before = pod.state
            try change(&pod)
            if pod.state != before { try before.checkTransition(to: pod.state, of: id) }
            state.pods[id] = Held(pod)
            return pod
        }
    }

    // MARK: Containers

    /// Those that `isWanted`, the oldest first.
    func containers(where isWanted: (Container) -> Bool = { _ in true }) -> [Container] {
        state.withLock { state in state.containers.values.filter { isWanted($0.item) } }
            .sorted { ($0.item.createdAt, $0.item.id) < ($1.item.createdAt, $1.item.id) }.map(\.item)
    }

    func containers(in podID: String) -> [Container] {
        containers { $0.podID == podID }
    }

    func container(_ id: String) throws -> Container {
        try state.withLock { try Self.find(id, in: $0.containers, kind: "container") }
    }

    func container(exactly id: String) -> Container? {
        state.withLock { $0.containers[id]?.item }
    }

    func container(named metadata: ContainerMetadata, in podID: String) -> Container? {
        state.withLock { state in
            state.containers.values.first { $0.item.podID == podID && $0.item.config.metadata == metadata }?.item
        }
    }

    /// - Throws: `BerthError` (`failedPrecondition`) where the container's pod is not ready.
    func insert(_ container: Container) throws {
        try state.withLock { state in
            guard let pod = state.pods[container.podID]?.item else {
                throw BerthError.notFound("pod sandbox", container.podID)
            }
            try pod.checkReady()
            state.containers[container.id] = Held(container)
        }
    }

    func restore(_ container: Container) {
        state.withLock { $0.containers[container.id] = Held(container) }
    }

    func removeContainer(_ id: String) {
        state.withLock { $0.containers[id] = nil }
    }

    /// Changes a container; a change of its state is checked against the diagram of `ContainerState`.
    @discardableResult
    func updateContainer(_ id: String, _ change: (inout Container) throws -> Void) throws -> Container {
        try state.withLock { state in
            guard var container = state.containers[id]?.item else { throw BerthError.notFound("container", id) }
            let before = container.state
            try change(&container)
            if container.state != before { try before.checkTransition(to: container.state, of: id) }
            state.containers[id] = Held(container)
            return container
        }
    }

    private static func find<Item>(_ id: String, in items: [String: Held<Item>], kind: String) throws -> Item {
        if let held = items[id] { return held.item }
        let matches = id.isEmpty ? [] : items.filter { $0.key.hasPrefix(id) }
        guard matches.count <= 1 else {
            throw BerthError(.invalidArgument, "\(kind) \"\(id)\" is ambiguous: it starts the IDs of \(matches.count)")
        }
        guard let held = matches.first?.value else { throw BerthError.notFound(kind, id) }
        return held.item
    }
}
