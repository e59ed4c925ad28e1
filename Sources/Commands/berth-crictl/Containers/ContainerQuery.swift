internal import CRIAPI
private import Core
private import Terminal

/// The containers that a command line selects; shared by `ps`, `inspect`, `stop` and `exec`.
struct ContainerQuery: Sendable {
    var id: String?
    var name: String?
    var namespace: String?
    var pod: String?
    var image: String?
    var state: String?
    var labels: [String] = []
    var all = false
    var latest = false
    var last: Int?

    private var wantsNewest: Bool { latest || (last ?? 0) > 0 }

    /// Newest first; running ones only, unless a state, all, or the newest are asked for.
    func list(_ cri: Connection) async throws -> [Runtime_V1_Container] {
        let nameMatches = try ListFilters.pattern(name, field: "--name")
        let namespaceMatches = try ListFilters.pattern(namespace, field: "--namespace")
        var filter = Runtime_V1_ContainerFilter()
        if let id { filter.id = try await cri.containerID(id) }
        if let pod { filter.podSandboxID = try await cri.podID(pod) }
        filter.labelSelector = try ListFilters.labels(labels)
        let wantedState = try state.map { try Self.state($0) } ?? (all ? nil : .containerRunning)
        if let wantedState, !wantsNewest { filter.state.state = wantedState }

        var containers = try await cri.listContainers(filter)
            .filter { nameMatches($0.metadata.name) && namespaceMatches($0.podNamespace) }
            .sorted { $0.createdAt > $1.createdAt }
        if let image { containers = try await containers.using(image, cri) }
        return Array(containers.prefix(ListFilters.count(of: containers.count, latest: latest, last: last)))
    }

    private static func state(_ text: String) throws -> Runtime_V1_ContainerState {
        switch text.lowercased() {
        case "created": .containerCreated
        case "running": .containerRunning
        case "exited": .containerExited
        case "unknown": .containerUnknown
        default:
            throw BerthError.invalid(
                field: "--state", value: text, rule: "must be one of created, running, exited or unknown")
        }
    }
}

extension [Runtime_V1_Container] {
    /// Those whose image is the one that `name` stands for.
    fileprivate func using(_ name: String, _ cri: Connection) async throws -> [Runtime_V1_Container] {
        let wanted = try await cri.imageStatus(name)
        guard wanted.hasImage else { return [] }
        var known: [String: String] = [:]
        var result: [Runtime_V1_Container] = []
        for container in self {
            let reference = container.image.image
            if known[reference] == nil { known[reference] = try await cri.imageStatus(reference).image.id }
            if known[reference] == wanted.image.id { result.append(container) }
        }
        return result
    }
}

extension Runtime_V1_Container {
    var podNamespace: String { labels["io.kubernetes.pod.namespace"] ?? "unknown" }
    var podName: String { labels["io.kubernetes.pod.name"] ?? "unknown" }
}

extension Runtime_V1_ContainerState {
    var word: String {
        switch self {
        case .containerCreated: "Created"
        case .containerRunning: "Running"
        case .containerExited: "Exited"
        case .containerUnknown: "Unknown"
        case .UNRECOGNIZED(let number): "Unknown(\(number))"
        }
    }
}
