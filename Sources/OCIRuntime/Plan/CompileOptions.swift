public import LinuxKernel
public import OCISpec
public import SystemPackage

/// What is not in config.json: how this container is run.
public struct CompileOptions: Sendable {
    public var id: String
    public var bundle: FilePath
    /// Absolute; `nil`: `root.path` of the specification, below the bundle if it is relative.
    public var rootfs: FilePath?
    /// Mounted on the root's path in the container's own mount namespace, so that the host never sees it.
    public var overlay: OverlayRoot?
    /// A file of `BaseMounts`, of which the container's mount namespace is a copy where its configuration allows that;
    /// `nil`: it is one of the host's.
    public var baseMounts: FilePath?
    public var monitor: MonitorOptions?
    /// `nil`: the process has the launcher's own stdin, stdout and stderr.
    public var stdio: StdioOptions?
    public var start: StartMode
    /// The container's process becomes a child of whoever called the launcher.
    public var sibling: Bool
    public var consoleSocket: FilePath?
    /// The terminal is copied to whatever the caller has, which ends lines by itself.
    public var plainLineEnds: Bool
    /// Descriptors from 3 on that the process keeps.
    public var preservedDescriptors: UInt32
    public var noPivot: Bool
    public var noNewKeyring: Bool
    /// What is there of the container's cgroup already; `nil`: nothing below the hierarchies' roots.
    public var cgroupSurvey: CgroupSurvey?
    /// Compiles seccomp profiles; tests replace it.
    public var compileSeccomp: @Sendable (RuntimeSpec.Linux.Seccomp) throws -> [UInt8]

    public enum StartMode: Sendable {
        /// The process runs when the plan is through.
        case immediately
        /// It waits for the monitor's Start; a missing program is an error of that, or of the launch already.
        case onMonitorRequest(programMayBeMissing: Bool)
        /// It waits until the FIFO is opened for reading.
        case onFIFO(FilePath)
    }

    public init(id: String, bundle: FilePath, start: StartMode = .immediately) {
        self.id = id
        self.bundle = bundle
        self.start = start
        sibling = false
        plainLineEnds = false
        preservedDescriptors = 0
        noPivot = false
        noNewKeyring = false
        compileSeccomp = { try SeccompProfile.compile($0) }
    }
}

public struct OverlayRoot: Sendable, Hashable {
    /// The topmost layer first, as overlayfs takes them.
    public var lower: [FilePath]
    public var upper: FilePath
    public var work: FilePath
    /// More options of overlayfs: `index=off`, `userxattr`.
    public var options: [String]
    /// Where the host's mount ends that holds the root's path. A container whose mounts reach the host (root propagation
    /// `shared`) gets that one private, so that its root does not reach the host as well, and pivot_root(2) takes it.
    public var holder: FilePath?

    public init(
        lower: [FilePath], upper: FilePath, work: FilePath, options: [String] = [], holder: FilePath? = nil
    ) {
        self.lower = lower
        self.upper = upper
        self.work = work
        self.options = options
        self.holder = holder
    }
}

public struct MonitorOptions: Sendable, Hashable {
    public var socket: FilePath
    public var exitPath: FilePath

    public init(socket: FilePath, exitPath: FilePath) {
        self.socket = socket
        self.exitPath = exitPath
    }
}

public struct StdioOptions: Sendable, Hashable {
    public var stdin: Bool
    public var stdinOnce: Bool
    public var logPath: FilePath?
    /// Bytes of a log line before it is split; 0: 16384.
    public var maxLine: UInt32

    public init(stdin: Bool = false, stdinOnce: Bool = false, logPath: FilePath? = nil, maxLine: UInt32 = 0) {
        self.stdin = stdin
        self.stdinOnce = stdinOnce
        self.logPath = logPath
        self.maxLine = maxLine
    }
}

/// Which directories of a cgroup are missing, found out before a plan is compiled.
public struct CgroupSurvey: Sendable {
    /// Directories to be made, in each hierarchy the outermost first; of a v1 cpuset also those that are empty.
    public var missing: [(mountpoint: FilePath, paths: [FilePath])]
    /// Of the deepest v1 cpuset that is there.
    public var cpuset: (cpus: String, mems: String)?

    /// Whether the plan hands controllers of cgroup v2 down to it. systemd, which writes to its own cgroups alone, does
    /// that for a unit.
    public var handsDown: Bool

    public init(
        missing: [(mountpoint: FilePath, paths: [FilePath])], cpuset: (cpus: String, mems: String)?,
        handsDown: Bool = true
    ) {
        self.missing = missing
        self.cpuset = cpuset
        self.handsDown = handsDown
    }
}

/// A process that is started in a container that runs.
public struct ExecTarget: Sendable {
    public var id: String
    /// The container's first process.
    public var pid: Int32
    /// Namespaces to join: those that the container does not share with the host.
    public var namespaces: NamespaceTypes
    /// `nil`: the process stays in the cgroup of the caller (a monitor is in the container's already).
    public var cgroup: Cgroup?
    public var linux: RuntimeSpec.Linux?

    public init(id: String, pid: Int32, namespaces: NamespaceTypes, cgroup: Cgroup?, linux: RuntimeSpec.Linux?) {
        self.id = id
        self.pid = pid
        self.namespaces = namespaces
        self.cgroup = cgroup
        self.linux = linux
    }
}
