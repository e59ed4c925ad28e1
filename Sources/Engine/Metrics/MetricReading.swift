internal import LinuxKernel

/// All that metrics of one cgroup are made of, read at one moment.
struct MetricReading: Sendable {
    /// Values of `MetricFamily.identity`.
    var identity: [String]
    /// Nanoseconds since the epoch.
    var timestamp: Int64
    var cgroup = CgroupStatistics()
    /// By size: `2MB`.
    var hugePages: [(size: String, pages: CgroupStatistics.HugePages)] = []
    /// `nil`: not counted (pods).
    var processes: ProcessFigures?
    var filesystem: FilesystemFigures?
    /// As asked for; `nil` for pods.
    var limits: LinuxResources?
    /// Nanoseconds since the epoch; 0 for none.
    var startedAt: Int64 = 0
    var network: [NetworkUsage.Interface] = []

    struct ProcessFigures: Sendable, Equatable {
        var processes: UInt64 = 0
        var descriptors: UInt64 = 0
        var sockets: UInt64 = 0
        /// Soft limit of open files of the first process.
        var openFilesLimit: UInt64?
    }

    struct FilesystemFigures: Sendable, Equatable {
        /// The writable layer.
        var usedBytes: UInt64 = 0
        /// Of the filesystem that it is on.
        var capacity: UInt64 = 0
        var inodes: UInt64 = 0
        var freeInodes: UInt64 = 0
        var device = ""
    }
}
