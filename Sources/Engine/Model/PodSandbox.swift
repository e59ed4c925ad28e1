internal import Core
public import Networking

/// A pod sandbox: pinned namespaces, a cgroup, a network and files; no process of its own, except where its containers
/// share one PID namespace.
public struct PodSandbox: Codable, Sendable {
    public let id: String
    public let config: PodSandboxConfig
    public let runtimeHandler: String
    /// Nanoseconds since the epoch.
    public let createdAt: Int64
    public internal(set) var state: PodState
    public internal(set) var network: PodNetworkResult?
    /// Limits as last updated.
    public internal(set) var resources: LinuxResources?
    public internal(set) var overhead: LinuxResources?
    /// The cgroup that holds this pod's containers, below each hierarchy's root.
    public internal(set) var cgroup: String
    /// Set where this engine made `cgroup`, and so removes it.
    public internal(set) var ownsCgroup: Bool
    /// `nil` where it was made without SELinux.
    public internal(set) var selinux: SELinuxLabels?
    /// What keeps a shared PID namespace alive.
    public internal(set) var initProcess: ProcessIdentity?

    public var labels: [String: String] { config.labels }
    public var hasHostNetwork: Bool { config.security.namespaces.network == .node }

    /// The pod's own user namespace; `nil` where it has the host's.
    public var userNamespace: UserNamespaceOptions? {
        config.security.namespaces.user.flatMap { $0.mode == .pod ? $0 : nil }
    }

    static let failedAttempt = "it could not be made"

    /// Whether this is what is left of a RunPodSandbox that failed.
    var isFailedAttempt: Bool {
        if case .notReady(_, let reason) = state { reason.hasPrefix(Self.failedAttempt) } else { false }
    }

    /// The pod's addresses, the main one first; empty with the host's network.
    public var addresses: [String] {
        (network?.addresses ?? []).map { "\($0.address)" }
    }

    /// - Throws: `BerthError` (`failedPrecondition`) where it is not ready, with what it is.
    func checkReady() throws {
        let reason: String
        switch state {
        case .ready: return
        case .creating, .removing: reason = state.name
        case .notReady(_, let why): reason = why
        }
        throw BerthError(.failedPrecondition, "pod sandbox \"\(id)\" is not ready: \(reason)")
    }
}

/// Where a pod stands.
///
///     RunPodSandbox          StopPodSandbox, reboot, init died
///     ───────────▶ creating ──▶ ready ──────────▶ notReady ──▶ removing ──▶ (gone)
///                     │                               ▲            ▲
///                     ├─ failed, or berthd died: (gone)            │
///                     └─ failed, and cannot be undone: notReady    │
///                                   ready ─────────────────────────┘ RemovePodSandbox
public enum PodState: Codable, Sendable, Equatable {
    /// Named, nothing promised; what exists of it is removed by the next start of the engine.
    case creating
    case ready
    /// Nanoseconds since the epoch, and why: "stopped", "host rebooted".
    case notReady(since: Int64, reason: String)
    case removing

    public var isReady: Bool { self == .ready }

    /// - Throws: `BerthError` (`failedPrecondition`) for a transition that the diagram does not have.
    func checkTransition(to next: PodState, of id: String) throws {
        let legal =
            switch (self, next) {
            case (.creating, .ready), (.creating, .notReady), (.ready, .notReady), (.ready, .removing),
                (.notReady, .notReady),
                (.notReady, .removing), (.removing, .removing):
                true
            default: false
            }
        guard legal else {
            throw BerthError(.failedPrecondition, "pod sandbox \"\(id)\" is \(name), not to become \(next.name)")
        }
    }

    var name: String {
        switch self {
        case .creating: "creating"
        case .ready: "ready"
        case .notReady: "not ready"
        case .removing: "removing"
        }
    }
}

/// A process that outlives this daemon, safe against a recycled PID.
public struct ProcessIdentity: Codable, Sendable, Hashable {
    public var pid: Int32
    /// Field 22 of /proc/PID/stat, in clock ticks since boot.
    public var startTime: UInt64

    public init(pid: Int32, startTime: UInt64) {
        self.pid = pid
        self.startTime = startTime
    }
}
