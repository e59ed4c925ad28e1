internal import Core
public import LinuxKernel
public import SystemPackage

/// What the plan compiler must know of this host. Found out once; tests make it by hand.
public struct HostFacts: Sendable {
    public var cgroups: CgroupHost
    /// Hierarchies that are none of `cgroups`, since the container makes no cgroup there: it stays in its caller's.
    public var foreignCgroups: [CgroupHierarchy] = []
    /// CPUs and memory nodes of the root v1 cpuset; `nil` where there is none.
    public var cpuset: (cpus: String, mems: String)?
    /// Permitted capabilities of this process, as bits by number.
    public var capabilities: UInt64
    /// The highest capability number that the kernel knows.
    public var lastCapability: UInt8
    public var effectiveUserID: UInt32
    public var effectiveGroupID: UInt32
    /// newuidmap and newgidmap, for who is not root; `nil` where they are not both installed.
    public var idMapHelpers: (uid: String, gid: String)?
    public var hasAppArmor: Bool
    public var hasSELinux: Bool
    /// This kernel takes programs of cgroup2 for the access to devices; looked for where v1 has no files for it.
    public var hasDevicePrograms = true
    /// The files of a cgroup2 directory that whoever is given it owns too (cgroups(7), "Cgroups delegation").
    public var delegatedFiles = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
    /// overlayfs takes each lower layer as an option of its own, however many there are (Linux 6.8); looked for by who has
    /// `CompileOptions.baseMounts`.
    public var takesLayersSingly = true
    /// Of Intel RDT; looked for where a configuration asks for it.
    public var resctrl: FilePath?

    public init(
        cgroups: CgroupHost, cpuset: (cpus: String, mems: String)? = nil, capabilities: UInt64 = (1 << 41) - 1,
        lastCapability: UInt8 = 40, effectiveUserID: UInt32 = 0, effectiveGroupID: UInt32 = 0,
        idMapHelpers: (uid: String, gid: String)? = nil, hasAppArmor: Bool = false, hasSELinux: Bool = false
    ) {
        self.cgroups = cgroups
        self.cpuset = cpuset
        self.capabilities = capabilities
        self.lastCapability = lastCapability
        self.effectiveUserID = effectiveUserID
        self.effectiveGroupID = effectiveGroupID
        self.idMapHelpers = idMapHelpers
        self.hasAppArmor = hasAppArmor
        self.hasSELinux = hasSELinux
    }

    static func resctrlMountpoint() -> FilePath? {
        (try? MountTable.read())?.first { $0.type == "resctrl" }.map { FilePath($0.target) }
    }

    /// - Parameter forExec: of a container that is there: what only the making of its cgroup needs is not looked at.
    public static func detect(forExec: Bool = false) throws -> HostFacts {
        let cgroups = try CgroupHost.detect()
        var cpuset: (String, String)?
        if let hierarchy = cgroups.hierarchy(of: "cpuset"), !hierarchy.isUnified {
            cpuset = (
                try Files.readText(hierarchy.mountpoint.appending("cpuset.cpus")),
                try Files.readText(hierarchy.mountpoint.appending("cpuset.mems"))
            )
        }
        let last = (try? Files.readText("/proc/sys/kernel/cap_last_cap")).flatMap { UInt8($0) } ?? 40
        var facts = HostFacts(
            cgroups: cgroups, cpuset: cpuset, capabilities: try Syscall.capabilities().permitted,
            lastCapability: last, effectiveUserID: Syscall.effectiveUserID,
            effectiveGroupID: Syscall.effectiveGroupID, idMapHelpers: findIDMapHelpers(),
            hasAppArmor: (try? Files.readText("/sys/module/apparmor/parameters/enabled")) == "Y",
            hasSELinux: Files.exists("/sys/fs/selinux/enforce"))
        guard !forExec else { return facts }
        if cgroups.hierarchy(of: "devices") == nil { facts.hasDevicePrograms = DeviceProgram.isSupported }
        if cgroups.layout == .unified, let listed = try? Files.readText("/sys/kernel/cgroup/delegate") {
            facts.delegatedFiles = listed.split(separator: "\n").map(String.init)
        }
        return facts
    }

    private static func findIDMapHelpers() -> (uid: String, gid: String)? {
        guard Syscall.effectiveUserID != 0 else { return nil }
        for folder in ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"] {
            let uid = "\(folder)/newuidmap"
            let gid = "\(folder)/newgidmap"
            if Files.exists(FilePath(uid)), Files.exists(FilePath(gid)) { return (uid, gid) }
        }
        return nil
    }
}
