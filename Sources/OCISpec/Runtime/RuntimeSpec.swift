/// config.json of a bundle: the Linux part of the OCI runtime specification 1.2, with what 1.3 adds.
///
/// Names are those of the document. What the document may leave out is optional here; `validate()` says what it must not.
public struct RuntimeSpec: JSONDecodable, Encodable, Sendable, Hashable {
    /// The version that this runtime writes and the newest it knows.
    public static let version = "1.3.0"

    public var ociVersion: String = RuntimeSpec.version
    public var process: Process?
    public var root: Root?
    public var hostname: String?
    public var domainname: String?
    public var mounts: [Mount]?
    public var hooks: Hooks?
    public var annotations: [String: String]?
    public var linux: Linux?

    public init() {}

    public struct Root: JSONDecodable, Encodable, Sendable, Hashable {
        /// Absolute, or relative to the bundle.
        public var path: String
        public var readonly: Bool?

        public init(path: String, readonly: Bool? = nil) {
            self.path = path
            self.readonly = readonly
        }
    }

    public struct Mount: JSONDecodable, Encodable, Sendable, Hashable {
        public var destination: String
        public var type: String?
        public var source: String?
        public var options: [String]?
        public var uidMappings: [IDMapping]?
        public var gidMappings: [IDMapping]?

        public init(destination: String, type: String? = nil, source: String? = nil, options: [String]? = nil) {
            self.destination = destination
            self.type = type
            self.source = source
            self.options = options
        }
    }

    public struct IDMapping: JSONDecodable, Encodable, Sendable, Hashable {
        public var containerID: UInt32
        public var hostID: UInt32
        public var size: UInt32

        public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
            self.containerID = containerID
            self.hostID = hostID
            self.size = size
        }
    }

    public struct Hook: JSONDecodable, Encodable, Sendable, Hashable {
        public var path: String
        /// With the name of the program, as execv(3) takes it.
        public var args: [String]?
        public var env: [String]?
        /// Seconds.
        public var timeout: Int?

        public init(path: String, args: [String]? = nil, env: [String]? = nil, timeout: Int? = nil) {
            self.path = path
            self.args = args
            self.env = env
            self.timeout = timeout
        }
    }

    public struct Hooks: JSONDecodable, Encodable, Sendable, Hashable {
        public var prestart: [Hook]?
        public var createRuntime: [Hook]?
        public var createContainer: [Hook]?
        public var startContainer: [Hook]?
        public var poststart: [Hook]?
        public var poststop: [Hook]?

        public init() {}
    }
}

// MARK: Process

extension RuntimeSpec {
    public struct Process: JSONDecodable, Encodable, Sendable, Hashable {
        public var terminal: Bool?
        public var consoleSize: ConsoleSize?
        public var user: User? = User()
        public var args: [String]?
        public var commandLine: String?
        public var env: [String]?
        public var cwd: String = "/"
        public var capabilities: Capabilities?
        public var rlimits: [Rlimit]?
        public var noNewPrivileges: Bool?
        public var apparmorProfile: String?
        public var oomScoreAdj: Int?
        public var scheduler: Scheduler?
        public var selinuxLabel: String?
        public var ioPriority: IOPriority?
        public var execCPUAffinity: ExecCPUAffinity?

        public init() {}

        public struct ConsoleSize: JSONDecodable, Encodable, Sendable, Hashable {
            public var height: UInt32
            public var width: UInt32

            public init(height: UInt32, width: UInt32) {
                self.height = height
                self.width = width
            }
        }

        public struct User: JSONDecodable, Encodable, Sendable, Hashable {
            public var uid: UInt32
            public var gid: UInt32
            public var umask: UInt32?
            public var additionalGids: [UInt32]?
            /// Of Windows; a Linux runtime takes the numbers.
            public var username: String?

            public init(uid: UInt32 = 0, gid: UInt32 = 0, umask: UInt32? = nil, additionalGids: [UInt32]? = nil) {
                self.uid = uid
                self.gid = gid
                self.umask = umask
                self.additionalGids = additionalGids
            }
        }

        /// Names `CAP_...`.
        public struct Capabilities: JSONDecodable, Encodable, Sendable, Hashable {
            public var bounding: [String]?
            public var effective: [String]?
            public var inheritable: [String]?
            public var permitted: [String]?
            public var ambient: [String]?

            public init() {}
        }

        public struct Rlimit: JSONDecodable, Encodable, Sendable, Hashable {
            public var type: String
            public var soft: UInt64
            public var hard: UInt64

            public init(type: String, soft: UInt64, hard: UInt64) {
                self.type = type
                self.soft = soft
                self.hard = hard
            }
        }

        public struct Scheduler: JSONDecodable, Encodable, Sendable, Hashable {
            public var policy: String
            public var nice: Int32?
            public var priority: Int32?
            public var flags: [String]?
            public var runtime: UInt64?
            public var deadline: UInt64?
            public var period: UInt64?

            public init(policy: String) {
                self.policy = policy
            }
        }

        public struct IOPriority: JSONDecodable, Encodable, Sendable, Hashable {
            public var `class`: String
            public var priority: Int?

            public init(class: String, priority: Int? = nil) {
                self.class = `class`
                self.priority = priority
            }
        }

        public struct ExecCPUAffinity: JSONDecodable, Encodable, Sendable, Hashable {
            public var initial: String?
            public var final: String?

            public init() {}
        }
    }
}
