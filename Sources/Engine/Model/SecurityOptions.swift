/// Which namespaces a pod or container has and with whom it shares them (CRI `NamespaceOption`).
public struct NamespaceOptions: Codable, Sendable, Equatable {
    public enum Mode: String, Codable, Sendable {
        case pod, container, node, target
    }

    /// `.pod` or `.node`.
    public var network = Mode.pod
    /// `.pod` shares one PID namespace among the pod's containers.
    public var pid = Mode.pod
    public var ipc = Mode.pod
    /// Container whose PID namespace is joined, with `pid == .target`.
    public var targetID = ""
    public var user: UserNamespaceOptions?

    public init() {}
}

/// The pod's user namespace; `mode` is `.pod` (its own, with these mappings) or `.node`.
public struct UserNamespaceOptions: Codable, Sendable, Equatable {
    public var mode: NamespaceOptions.Mode
    public var uids: [IDMapping]
    public var gids: [IDMapping]

    public init(mode: NamespaceOptions.Mode, uids: [IDMapping] = [], gids: [IDMapping] = []) {
        self.mode = mode
        self.uids = uids
        self.gids = gids
    }
}

public struct IDMapping: Codable, Sendable, Equatable {
    public var containerID: UInt32
    public var hostID: UInt32
    public var size: UInt32

    public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.size = size
    }
}

public enum SupplementalGroupsPolicy: String, Codable, Sendable {
    /// The image's groups of the user are added to the requested ones.
    case merge
    /// Only the requested groups.
    case strict
}

public struct SELinuxOptions: Codable, Sendable, Equatable {
    public var user: String
    public var role: String
    public var type: String
    public var level: String

    public init(user: String = "", role: String = "", type: String = "", level: String = "") {
        self.user = user
        self.role = role
        self.type = type
        self.level = level
    }

    /// `user:role:type:level`; empty where nothing is asked for.
    public var label: String {
        guard !(user.isEmpty && role.isEmpty && type.isEmpty && level.isEmpty) else { return "" }
        return [user, role, type, level].joined(separator: ":")
    }
}

/// The contexts of a pod, or of a container that asks for others: one for processes and one for files.
public struct SELinuxLabels: Codable, Sendable, Equatable {
    public var process: String
    public var files: String
}

/// A seccomp or AppArmor profile.
public enum SecurityProfile: Codable, Sendable, Equatable {
    case runtimeDefault
    case unconfined
    /// A file (seccomp) or a loaded profile (AppArmor) of the node.
    case localhost(String)
}
