internal import CRIAPI
internal import Foundation

/// What the runtime has of one pod, as the planner sees it.
struct PodObservation: Equatable, Sendable {
    /// Newest first.
    var sandboxes: [ObservedSandbox] = []
    /// Newest first.
    var containers: [ObservedContainer] = []

    var latestSandbox: ObservedSandbox? { sandboxes.first }
    var isEmpty: Bool { sandboxes.isEmpty && containers.isEmpty }

    func latest(_ name: String) -> ObservedContainer? { containers.first { $0.name == name } }
    func latest(_ name: String, in sandbox: String) -> ObservedContainer? {
        containers.first { $0.name == name && $0.sandboxID == sandbox }
    }

    func nextAttempt(_ name: String) -> UInt32 {
        (containers.filter { $0.name == name }.map(\.attempt).max()).map { $0 + 1 } ?? 0
    }

    mutating func sort() {
        sandboxes.sort { ($0.attempt, $0.createdAt) > ($1.attempt, $1.createdAt) }
        containers.sort { ($0.attempt, $0.createdAt) > ($1.attempt, $1.createdAt) }
    }
}

struct ObservedSandbox: Equatable, Sendable {
    var id: String
    var attempt: UInt32
    var isReady: Bool
    var createdAt: Date
    var addresses: [String] = []
}

struct ObservedContainer: Equatable, Sendable {
    enum State: Equatable, Sendable { case created, running, exited, unknown }

    var id: String
    var name: String
    var attempt: UInt32
    var sandboxID: String
    var state: State
    var createdAt: Date
    var startedAt: Date?
    var finishedAt: Date?
    var exitCode: Int32 = 0
    var reason: String = ""
    var message: String = ""
    var image: String = ""
    var imageID: String = ""
    var logPath: String = ""

    /// When it ended; a container that never started ended when it was made.
    var endedAt: Date { finishedAt ?? createdAt }
}

extension ObservedSandbox {
    init(_ sandbox: Runtime_V1_PodSandbox) {
        self.init(
            id: sandbox.id, attempt: sandbox.metadata.attempt, isReady: sandbox.state == .sandboxReady,
            createdAt: Date(nanoseconds: sandbox.createdAt))
    }
}

extension ObservedContainer {
    init(_ container: Runtime_V1_Container) {
        self.init(
            id: container.id, name: container.labels[PodLabel.container] ?? container.metadata.name,
            attempt: container.metadata.attempt, sandboxID: container.podSandboxID, state: State(container.state),
            createdAt: Date(nanoseconds: container.createdAt), image: container.image.image,
            imageID: container.imageRef)
    }

    mutating func merge(_ status: Runtime_V1_ContainerStatus) {
        state = State(status.state)
        startedAt = status.startedAt > 0 ? Date(nanoseconds: status.startedAt) : nil
        finishedAt = status.finishedAt > 0 ? Date(nanoseconds: status.finishedAt) : nil
        exitCode = status.exitCode
        reason = status.reason
        message = String(status.message.prefix(4096))
        imageID = status.imageRef
        logPath = status.logPath
    }
}

extension ObservedContainer.State {
    init(_ state: Runtime_V1_ContainerState) {
        switch state {
        case .containerCreated: self = .created
        case .containerRunning: self = .running
        case .containerExited: self = .exited
        default: self = .unknown
        }
    }
}

extension Date {
    /// - Parameter nanoseconds: since 1970, as the CRI counts.
    init(nanoseconds: Int64) { self.init(timeIntervalSince1970: Double(nanoseconds) / 1e9) }
}

/// Labels and annotations by which a kubelet finds its pods again (names as in Kubernetes' own kubelet, so that crictl
/// and log collectors know them), and our own.
enum PodLabel {
    static let podName = "io.kubernetes.pod.name"
    static let podNamespace = "io.kubernetes.pod.namespace"
    static let podUID = "io.kubernetes.pod.uid"
    static let container = "io.kubernetes.container.name"

    static let restartCount = "io.kubernetes.container.restartCount"
    static let terminationMessagePath = "io.kubernetes.container.terminationMessagePath"
    static let terminationMessagePolicy = "io.kubernetes.container.terminationMessagePolicy"
    static let gracePeriod = "io.kubernetes.pod.terminationGracePeriod"
    static let preStop = "io.kubernetes.container.preStopHandler"

    static let configSource = "kubernetes.io/config.source"
    /// The root directory of the agent that made the pod: agents of one runtime leave each other's pods alone.
    static let owner = "berth.kubelet/root"
    /// The file that the pod came from.
    static let manifest = "berth.kubelet/manifest"
    /// On sidecars, so that a pod whose manifest is gone is still stopped in order.
    static let sidecarIndex = "berth.kubelet/sidecar"
}
