extension RuntimeSpec.Linux {
    /// Limits, in the words of cgroup v1; they are translated where the host has v2.
    public struct Resources: JSONDecodable, Encodable, Sendable, Hashable {
        public var devices: [DeviceRule]?
        public var memory: Memory?
        public var cpu: CPU?
        public var pids: Pids?
        public var blockIO: BlockIO?
        public var hugepageLimits: [HugepageLimit]?
        public var network: Network?
        public var rdma: [String: Rdma]?
        /// cgroup v2 files and their values.
        public var unified: [String: String]?

        public init() {}

        public struct DeviceRule: JSONDecodable, Encodable, Sendable, Hashable {
            public var allow: Bool
            /// `a`, `c` or `b`; absent: `a`.
            public var type: String?
            /// Absent: every number.
            public var major: Int64?
            public var minor: Int64?
            /// Of `r`, `w`, `m`.
            public var access: String?

            public init(
                allow: Bool, type: String? = nil, major: Int64? = nil, minor: Int64? = nil, access: String? = nil
            ) {
                self.allow = allow
                self.type = type
                self.major = major
                self.minor = minor
                self.access = access
            }
        }

        public struct Memory: JSONDecodable, Encodable, Sendable, Hashable {
            /// Bytes; -1: no limit.
            public var limit: Int64?
            public var reservation: Int64?
            /// Memory and swap together.
            public var swap: Int64?
            public var kernel: Int64?
            public var kernelTCP: Int64?
            public var swappiness: UInt64?
            public var disableOOMKiller: Bool?
            public var useHierarchy: Bool?
            public var checkBeforeUpdate: Bool?

            public init() {}
        }

        public struct CPU: JSONDecodable, Encodable, Sendable, Hashable {
            public var shares: UInt64?
            /// Microseconds in a period; negative: no limit.
            public var quota: Int64?
            public var burst: UInt64?
            public var period: UInt64?
            public var realtimeRuntime: Int64?
            public var realtimePeriod: UInt64?
            public var cpus: String?
            public var mems: String?
            public var idle: Int64?

            public init() {}
        }

        public struct Pids: JSONDecodable, Encodable, Sendable, Hashable {
            /// Less than 0: no limit; 0 means 1, since the container has a process.
            public var limit: Int64?
            public init(limit: Int64?) { self.limit = limit }
        }

        public struct BlockIO: JSONDecodable, Encodable, Sendable, Hashable {
            public var weight: UInt16?
            public var leafWeight: UInt16?
            public var weightDevice: [WeightDevice]?
            public var throttleReadBpsDevice: [ThrottleDevice]?
            public var throttleWriteBpsDevice: [ThrottleDevice]?
            public var throttleReadIOPSDevice: [ThrottleDevice]?
            public var throttleWriteIOPSDevice: [ThrottleDevice]?

            public init() {}

            public struct WeightDevice: JSONDecodable, Encodable, Sendable, Hashable {
                public var major: Int64
                public var minor: Int64
                public var weight: UInt16?
                public var leafWeight: UInt16?
            }

            public struct ThrottleDevice: JSONDecodable, Encodable, Sendable, Hashable {
                public var major: Int64
                public var minor: Int64
                public var rate: UInt64

                public init(major: Int64, minor: Int64, rate: UInt64) {
                    self.major = major
                    self.minor = minor
                    self.rate = rate
                }
            }
        }

        public struct HugepageLimit: JSONDecodable, Encodable, Sendable, Hashable {
            /// `2MB`, `1GB`, ...
            public var pageSize: String
            /// Bytes.
            public var limit: UInt64

            public init(pageSize: String, limit: UInt64) {
                self.pageSize = pageSize
                self.limit = limit
            }
        }

        public struct Network: JSONDecodable, Encodable, Sendable, Hashable {
            public var classID: UInt32?
            public var priorities: [Priority]?

            public init() {}

            public struct Priority: JSONDecodable, Encodable, Sendable, Hashable {
                public var name: String
                public var priority: UInt32
            }
        }

        public struct Rdma: JSONDecodable, Encodable, Sendable, Hashable {
            public var hcaHandles: UInt32?
            public var hcaObjects: UInt32?
            public init() {}
        }
    }
}
