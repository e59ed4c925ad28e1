/// The state document of the runtime specification: what `state` prints and hooks read.
public struct ContainerState: Codable, Sendable, Hashable {
    public enum Status: String, Codable, Sendable {
        case creating, created, running, stopped
        /// Not in the specification; runc and crun have it.
        case paused
    }

    public var ociVersion: String = RuntimeSpec.version
    public var id: String
    public var status: Status
    /// 0 in states without a process.
    public var pid: Int32?
    public var bundle: String
    public var annotations: [String: String]?

    public init(
        id: String, status: Status, pid: Int32? = nil, bundle: String, annotations: [String: String]? = nil
    ) {
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations
    }
}
