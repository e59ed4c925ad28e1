/// What a client asks a container to be (CRI `ContainerConfig`, without its wire types). Stored with the container.
public struct ContainerConfig: Codable, Sendable, Equatable {
    public var metadata: ContainerMetadata
    public var image: ImageRequest
    /// Replaces the image's entry point; with `arguments` empty also its command.
    public var command: [String] = []
    public var arguments: [String] = []
    public var workingDirectory = ""
    public var environment: [EnvironmentVariable] = []
    public var mounts: [ContainerMount] = []
    public var devices: [ContainerDevice] = []
    public var cdiDevices: [String] = []
    public var labels: [String: String] = [:]
    public var annotations: [String: String] = [:]
    /// Relative to the pod's log directory; empty for no log.
    public var logPath = ""
    public var stdin = false
    public var stdinOnce = false
    public var terminal = false
    public var resources: LinuxResources?
    public var security = ContainerSecurityContext()
    /// Number of the signal that asks the container to stop; `nil` for the image's or SIGTERM.
    public var stopSignal: Int32?

    public init(metadata: ContainerMetadata, image: ImageRequest) {
        self.metadata = metadata
        self.image = image
    }
}

public struct ContainerMetadata: Codable, Sendable, Hashable {
    public var name: String
    public var attempt: UInt32

    public init(name: String, attempt: UInt32 = 0) {
        self.name = name
        self.attempt = attempt
    }

    /// The name that only one container may hold.
    public func reservedName(inPod id: String) -> String { "\(name)_\(attempt)_\(id)" }
}

/// The image as the client names it (CRI `ImageSpec`).
public struct ImageRequest: Codable, Sendable, Equatable {
    /// A name, a name with digest, or an image ID.
    public var image: String
    public var annotations: [String: String]
    public var userSpecifiedImage: String
    public var runtimeHandler: String

    public init(
        image: String, annotations: [String: String] = [:], userSpecifiedImage: String = "", runtimeHandler: String = ""
    ) {
        self.image = image
        self.annotations = annotations
        self.userSpecifiedImage = userSpecifiedImage
        self.runtimeHandler = runtimeHandler
    }
}

public struct EnvironmentVariable: Codable, Sendable, Equatable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

public struct ContainerMount: Codable, Sendable, Equatable {
    public enum Propagation: String, Codable, Sendable {
        case `private`, hostToContainer, bidirectional
    }

    public var containerPath: String
    public var hostPath: String
    public var readonly = false
    public var recursiveReadonly = false
    public var selinuxRelabel = false
    public var propagation = Propagation.private
    public var uidMappings: [IDMapping] = []
    public var gidMappings: [IDMapping] = []
    /// Further mount options by name (`noexec`, `nosuid`, ...).
    public var options: [String] = []
    /// The image that is mounted instead of a directory of the host; `hostPath` is empty then.
    public var image: ImageRequest?
    /// What of the image is mounted, relative to its root; `nil` for all of it.
    public var imageSubPath: String?

    public init(containerPath: String, hostPath: String) {
        self.containerPath = containerPath
        self.hostPath = hostPath
    }
}

public struct ContainerDevice: Codable, Sendable, Equatable {
    public var containerPath: String
    /// A device node, or a directory of which every device node is passed.
    public var hostPath: String
    /// Of `r`, `w` and `m`.
    public var permissions: String

    public init(containerPath: String, hostPath: String, permissions: String) {
        self.containerPath = containerPath
        self.hostPath = hostPath
        self.permissions = permissions
    }
}

public struct ContainerSecurityContext: Codable, Sendable, Equatable {
    public var addCapabilities: [String] = []
    public var dropCapabilities: [String] = []
    public var addAmbientCapabilities: [String] = []
    public var privileged = false
    public var namespaces = NamespaceOptions()
    public var selinux: SELinuxOptions?
    public var runAsUser: Int64?
    public var runAsGroup: Int64?
    public var runAsUsername = ""
    public var readonlyRootfs = false
    public var supplementalGroups: [Int64] = []
    public var supplementalGroupsPolicy = SupplementalGroupsPolicy.merge
    public var noNewPrivileges = false
    /// Empty for the defaults.
    public var maskedPaths: [String] = []
    /// Empty for the defaults.
    public var readonlyPaths: [String] = []
    /// `nil` for what the configuration says of containers that name no profile.
    public var seccomp: SecurityProfile?
    public var apparmor: SecurityProfile?

    public init() {}
}
