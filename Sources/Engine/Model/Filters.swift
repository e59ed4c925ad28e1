/// Which pods a list holds; every field that is set must match.
public struct PodFilter: Sendable {
    /// An ID or the start of one.
    public var id: String?
    public var ready: Bool?
    public var labels: [String: String]

    public init(id: String? = nil, ready: Bool? = nil, labels: [String: String] = [:]) {
        self.id = id
        self.ready = ready
        self.labels = labels
    }

    public func matches(_ pod: PodSandbox) -> Bool {
        if let id, !id.isEmpty, !pod.id.hasPrefix(id) { return false }
        if let ready, pod.state.isReady != ready { return false }
        return labels.allSatisfy { pod.labels[$0.key] == $0.value }
    }
}

/// Which containers a list holds; every field that is set must match.
public struct ContainerFilter: Sendable {
    public enum Phase: Sendable {
        case created, running, exited, unknown
    }

    /// An ID or the start of one.
    public var id: String?
    public var phase: Phase?
    /// An ID or the start of one.
    public var podID: String?
    public var labels: [String: String]

    public init(id: String? = nil, phase: Phase? = nil, podID: String? = nil, labels: [String: String] = [:]) {
        self.id = id
        self.phase = phase
        self.podID = podID
        self.labels = labels
    }

    public func matches(_ container: Container) -> Bool {
        if let id, !id.isEmpty, !container.id.hasPrefix(id) { return false }
        if let podID, !podID.isEmpty, !container.podID.hasPrefix(podID) { return false }
        if let phase, container.state.phase != phase { return false }
        return labels.allSatisfy { container.labels[$0.key] == $0.value }
    }
}

extension ContainerState {
    /// The state as CRI tells it.
    public var phase: ContainerFilter.Phase {
        switch self {
        case .creating, .created: .created
        case .running: .running
        case .exited, .removing(.some): .exited
        case .removing(nil): .unknown
        }
    }
}
