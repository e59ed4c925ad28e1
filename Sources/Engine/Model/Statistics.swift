/// What a cgroup uses, at one moment.
public struct ResourceUsage: Sendable, Equatable {
    /// Nanoseconds since the epoch.
    public var timestamp: Int64
    public var cpuNanoseconds: UInt64 = 0
    /// Billionths of a core since the measurement before; `nil` for the first one.
    public var cpuNanoCores: UInt64?
    public var memoryUsage: UInt64 = 0
    /// Usage without what the kernel can drop at once (inactive file cache): what eviction looks at.
    public var memoryWorkingSet: UInt64 = 0
    public var memoryRSS: UInt64 = 0
    /// Limit less working set; `nil` without limit.
    public var memoryAvailable: UInt64?
    public var pageFaults: UInt64 = 0
    public var majorPageFaults: UInt64 = 0
    public var swapUsage: UInt64 = 0
    public var swapAvailable: UInt64?
    public var processes: UInt64 = 0
    /// `nil` where the kernel does not measure it.
    public var cpuPressure: ResourcePressure?
    public var memoryPressure: ResourcePressure?
    public var ioPressure: ResourcePressure?

    public init(timestamp: Int64) {
        self.timestamp = timestamp
    }
}

/// How long processes waited for a resource (kernel documentation, accounting/psi).
public struct ResourcePressure: Sendable, Equatable {
    public struct Share: Sendable, Equatable {
        /// Percent of the last 10, 60 and 300 seconds.
        public var average10 = 0.0
        public var average60 = 0.0
        public var average300 = 0.0
        /// Nanoseconds.
        public var total: UInt64 = 0

        public init() {}
    }

    /// Some process waited.
    public var some = Share()
    /// Every process waited.
    public var full = Share()

    public init() {}
}

public struct FilesystemUsage: Sendable, Equatable {
    public var timestamp: Int64
    /// A directory on the filesystem.
    public var mountpoint: String
    public var usedBytes: UInt64
    public var inodes: UInt64

    public init(timestamp: Int64, mountpoint: String, usedBytes: UInt64, inodes: UInt64) {
        self.timestamp = timestamp
        self.mountpoint = mountpoint
        self.usedBytes = usedBytes
        self.inodes = inodes
    }
}

public struct NetworkUsage: Sendable, Equatable {
    public struct Interface: Sendable, Equatable {
        public var name: String
        public var receivedBytes: UInt64
        public var receiveErrors: UInt64
        public var sentBytes: UInt64
        public var sendErrors: UInt64
        public var receivedPackets: UInt64 = 0
        public var receiveDropped: UInt64 = 0
        public var sentPackets: UInt64 = 0
        public var sendDropped: UInt64 = 0
    }

    public var timestamp: Int64
    /// The pod's main interface first; without the loopback.
    public var interfaces: [Interface]
}

public struct ContainerStatistics: Sendable {
    public let id: String
    public let metadata: ContainerMetadata
    public let labels: [String: String]
    public let annotations: [String: String]
    /// `nil` where nothing runs.
    public var usage: ResourceUsage?
    public var writableLayer: FilesystemUsage?
}

public struct PodStatistics: Sendable {
    public let id: String
    public let metadata: PodSandboxMetadata
    public let labels: [String: String]
    public let annotations: [String: String]
    public var usage: ResourceUsage?
    public var network: NetworkUsage?
    public var containers: [ContainerStatistics]
}
