internal import Foundation

/// The status half of a v1 Pod.
struct PodStatus: KubernetesObject {
    struct Address: KubernetesObject {
        var ip: String
    }

    var phase: PodPhase
    var conditions: [PodCondition]
    var message: String?
    var reason: String?
    var hostIP: String?
    var hostIPs: [Address]?
    var podIP: String?
    var podIPs: [Address]?
    var startTime: Timestamp?
    var initContainerStatuses: [ContainerStatus]?
    var containerStatuses: [ContainerStatus]?
    var qosClass: QoSClass?
}

enum PodPhase: String, StringEnumeration {
    case pending = "Pending"
    case running = "Running"
    case succeeded = "Succeeded"
    case failed = "Failed"
    case unknown = "Unknown"

    var isFinal: Bool { self == .succeeded || self == .failed }
}

struct PodCondition: KubernetesObject {
    enum Kind: String, StringEnumeration {
        case readyToStartContainers = "PodReadyToStartContainers"
        case initialized = "Initialized"
        case ready = "Ready"
        case containersReady = "ContainersReady"
        case scheduled = "PodScheduled"
    }

    var type: Kind
    var status: String
    var reason: String?
    var message: String?
    var lastTransitionTime: Timestamp?
}

struct ContainerStatus: KubernetesObject {
    var name: String
    var state: ContainerState
    var lastState: ContainerState
    var ready: Bool
    var started: Bool
    var restartCount: Int32
    var image: String
    var imageID: String
    var containerID: String?
}

/// At most one of the three is set, as in the API; none means waiting for the first time.
struct ContainerState: KubernetesObject {
    struct Waiting: KubernetesObject {
        var reason: String
        var message: String?
    }

    struct Running: KubernetesObject {
        var startedAt: Timestamp
    }

    struct Terminated: KubernetesObject {
        var exitCode: Int32
        var signal: Int32?
        var reason: String?
        var message: String?
        var startedAt: Timestamp
        var finishedAt: Timestamp
        var containerID: String
    }

    var waiting: Waiting?
    var running: Running?
    var terminated: Terminated?
}

enum QoSClass: String, StringEnumeration {
    case guaranteed = "Guaranteed"
    case burstable = "Burstable"
    case bestEffort = "BestEffort"
}

/// A point in time, written as RFC 3339 in UTC with whole seconds.
struct Timestamp: Codable, Equatable, Comparable, Sendable {
    let date: Date

    init(_ date: Date) { self.date = date }

    private static let style = Date.ISO8601FormatStyle()

    init(from decoder: any Decoder) throws {
        date = try Timestamp.style.parse(decoder.singleValueContainer().decode(String.self))
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(date.formatted(Timestamp.style))
    }

    static func < (left: Timestamp, right: Timestamp) -> Bool { left.date < right.date }
}
