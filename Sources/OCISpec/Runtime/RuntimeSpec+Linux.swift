extension RuntimeSpec {
    public struct Linux: JSONDecodable, Encodable, Sendable, Hashable {
        public var uidMappings: [IDMapping]?
        public var gidMappings: [IDMapping]?
        public var sysctl: [String: String]?
        public var resources: Resources?
        public var cgroupsPath: String?
        public var namespaces: [Namespace]?
        public var devices: [Device]?
        public var netDevices: [String: NetDevice]?
        public var seccomp: Seccomp?
        public var rootfsPropagation: String?
        public var maskedPaths: [String]?
        public var readonlyPaths: [String]?
        public var mountLabel: String?
        public var intelRdt: IntelRdt?
        public var personality: Personality?
        public var timeOffsets: [String: TimeOffset]?
        public var memoryPolicy: MemoryPolicy?

        public init() {}

        public struct Namespace: JSONDecodable, Encodable, Sendable, Hashable {
            /// `pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup`, `time`.
            public var type: String
            /// A namespace file that is joined; absent: a new namespace.
            public var path: String?

            public init(type: String, path: String? = nil) {
                self.type = type
                self.path = path
            }
        }

        public struct Device: JSONDecodable, Encodable, Sendable, Hashable {
            public var path: String
            /// `c`, `u`, `b` or `p`.
            public var type: String
            public var major: Int64?
            public var minor: Int64?
            public var fileMode: UInt32?
            public var uid: UInt32?
            public var gid: UInt32?

            public init(
                path: String, type: String, major: Int64? = nil, minor: Int64? = nil, fileMode: UInt32? = nil,
                uid: UInt32? = nil, gid: UInt32? = nil
            ) {
                self.path = path
                self.type = type
                self.major = major
                self.minor = minor
                self.fileMode = fileMode
                self.uid = uid
                self.gid = gid
            }
        }

        public struct NetDevice: JSONDecodable, Encodable, Sendable, Hashable {
            public var name: String?
            public init(name: String? = nil) { self.name = name }
        }

        public struct IntelRdt: JSONDecodable, Encodable, Sendable, Hashable {
            public var closID: String?
            public var schemata: [String]?
            public var l3CacheSchema: String?
            public var memBwSchema: String?
            public var enableMonitoring: Bool?
            public var enableCMT: Bool?
            public var enableMBM: Bool?
            public init() {}
        }

        public struct Personality: JSONDecodable, Encodable, Sendable, Hashable {
            public var domain: String
            public var flags: [String]?
            public init(domain: String) { self.domain = domain }
        }

        public struct TimeOffset: JSONDecodable, Encodable, Sendable, Hashable {
            public var secs: Int64?
            public var nanosecs: UInt32?
            public init(secs: Int64? = nil, nanosecs: UInt32? = nil) {
                self.secs = secs
                self.nanosecs = nanosecs
            }
        }

        public struct MemoryPolicy: JSONDecodable, Encodable, Sendable, Hashable {
            /// `MPOL_DEFAULT`, `MPOL_BIND`, ...
            public var mode: String?
            /// A list such as `0-3,5`.
            public var nodes: String?
            public var flags: [String]?
            public init(mode: String? = nil) { self.mode = mode }
        }

        public struct Seccomp: JSONDecodable, Encodable, Sendable, Hashable {
            public var defaultAction: String
            public var defaultErrnoRet: UInt32?
            public var architectures: [String]?
            public var flags: [String]?
            public var listenerPath: String?
            public var listenerMetadata: String?
            public var syscalls: [Syscall]?

            public init(defaultAction: String) { self.defaultAction = defaultAction }

            public struct Syscall: JSONDecodable, Encodable, Sendable, Hashable {
                public var names: [String]
                public var action: String
                public var errnoRet: UInt32?
                public var args: [Argument]?

                public init(names: [String], action: String, errnoRet: UInt32? = nil, args: [Argument]? = nil) {
                    self.names = names
                    self.action = action
                    self.errnoRet = errnoRet
                    self.args = args
                }
            }

            public struct Argument: JSONDecodable, Encodable, Sendable, Hashable {
                public var index: UInt32
                public var value: UInt64
                public var valueTwo: UInt64?
                public var op: String

                public init(index: UInt32, value: UInt64, valueTwo: UInt64? = nil, op: String) {
                    self.index = index
                    self.value = value
                    self.valueTwo = valueTwo
                    self.op = op
                }
            }
        }
    }
}
