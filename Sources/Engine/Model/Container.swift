internal import Core

/// A container as the last lifecycle call or exit left it.
public struct Container: Codable, Sendable {
    public let id: String
    public let podID: String
    public let podMetadata: PodSandboxMetadata
    public let config: ContainerConfig
    /// The ID of the image it was made from: the digest of its configuration.
    public let imageID: String
    /// A repository digest of the image where there is one, else its ID.
    public let imageReference: String
    /// A name of the image, for people: a kubelet asks for images by ID. `nil` in records of before there was one.
    public internal(set) var imageName: String?
    /// Absolute path of the log file; empty for no log.
    public let logPath: String
    /// Nanoseconds since the epoch.
    public let createdAt: Int64
    public internal(set) var state: ContainerState
    /// Limits as last updated.
    public internal(set) var resources: LinuxResources
    /// Whom the process runs as; known once the container is made.
    public internal(set) var user: ContainerUser?
    public internal(set) var stopSignal: Int32
    public internal(set) var process: ProcessIdentity?
    /// Its monitor, which holds its stdio and knows its exit.
    public internal(set) var monitor: ProcessIdentity?
    public internal(set) var cgroup: String
    /// IDs of the images that are mounted, by the index of their mount in the config.
    public internal(set) var mountedImages: [String: String]?
    /// It goes on where a checkpoint left it, held by a program of a runtime.
    public internal(set) var isRestored: Bool?
    /// What was clamped or left out at the launch, in words.
    public internal(set) var warnings: [String]

    public var labels: [String: String] { config.labels }
}

public struct ContainerUser: Codable, Sendable, Equatable {
    public var uid: UInt32
    public var gid: UInt32
    public var additionalGIDs: [UInt32]

    public init(uid: UInt32, gid: UInt32, additionalGIDs: [UInt32] = []) {
        self.uid = uid
        self.gid = gid
        self.additionalGIDs = additionalGIDs
    }
}

/// Where a container stands.
///
///     CreateContainer            StartContainer        process ended
///     ─────────────▶ creating ──▶ created ──▶ running ──▶ exited ──▶ removing ──▶ (gone)
///                       │            │                      ▲           ▲
///                       │            ├──────────────────────┘ stopped   │
///                       │            └──────────────────────────────────┘ RemoveContainer (any state: kills)
///                       ├─ failed, or berthd died: (gone)
///                       └─ failed, and cannot be undone: exited, reason CreateError
public enum ContainerState: Codable, Sendable, Equatable {
    /// Named, nothing promised; what exists of it is removed by the next start of the engine.
    case creating
    /// The process exists and waits before its exec.
    case created
    /// Nanoseconds since the epoch.
    case running(startedAt: Int64)
    case exited(ContainerExit)
    case removing(ContainerExit?)

    /// - Throws: `BerthError` (`failedPrecondition`) for a transition that the diagram does not have.
    func checkTransition(to next: ContainerState, of id: String) throws {
        let legal =
            switch (self, next) {
            case (.creating, .created), (.creating, .exited), (.created, .running), (.created, .exited),
                (.running, .exited),
                (.created, .removing), (.running, .removing), (.exited, .removing), (.removing, .removing):
                true
            default: false
            }
        guard legal else {
            throw BerthError(.failedPrecondition, "container \"\(id)\" is \(name), not to become \(next.name)")
        }
    }

    public var name: String {
        switch self {
        case .creating: "creating"
        case .created: "created"
        case .running: "running"
        case .exited: "exited"
        case .removing: "being removed"
        }
    }

    public var exit: ContainerExit? {
        switch self {
        case .exited(let exit): exit
        case .removing(let exit): exit
        default: nil
        }
    }

    public var isRunning: Bool {
        if case .running = self { true } else { false }
    }
}

/// How a container ended.
public struct ContainerExit: Codable, Sendable, Equatable {
    /// Reason of a container that could not be made, nor taken apart.
    static let createError = "CreateError"

    public var code: Int32
    /// Nanoseconds since the epoch; 0 where it never started.
    public var startedAt: Int64
    public var finishedAt: Int64
    /// One of the words that kubelets show: Completed, Error, OOMKilled, or what is special here.
    public var reason: String
    public var message: String

    public init(code: Int32, startedAt: Int64, finishedAt: Int64, reason: String? = nil, message: String = "") {
        self.code = code
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.reason = reason ?? (code == 0 ? "Completed" : "Error")
        self.message = message
    }
}
