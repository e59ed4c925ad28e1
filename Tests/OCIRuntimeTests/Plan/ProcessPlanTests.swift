internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import Testing

/// What single fields become in a plan.
@Suite struct ProcessPlanTests {
    private func text(_ change: (inout RuntimeSpec) -> Void, on facts: HostFacts = Hosts.hybrid) throws -> String {
        var spec = Specifications.small()
        change(&spec)
        return PlanPrinter.text(try PlanCompiler(facts: facts).compile(spec, options: Specifications.options()))
    }

    private func exec(_ change: (inout RuntimeSpec.Process) -> Void) throws -> String {
        var process = RuntimeSpec.Process()
        process.args = ["/bin/true"]
        change(&process)
        let target = ExecTarget(id: "box", pid: 7, namespaces: [.mount, .pid], cgroup: nil, linux: nil)
        return PlanPrinter.text(
            try PlanCompiler(facts: Hosts.hybrid).compileExec(
                process: process, container: target, options: Specifications.options()))
    }

    @Test(arguments: [
        ("0", "0x01"), ("0-1", "0x03"), ("1,3-4", "0x1a"), ("8", "0x0100"), ("0-9", "0x03ff"),
    ])
    func cpuListsBecomeMasks(_ list: String, _ mask: String) throws {
        let plan = try exec {
            $0.execCPUAffinity = .init(); $0.execCPUAffinity?.final = list
        }
        #expect(plan.contains("sched_setaffinity mask=\(mask)\n"), "\(plan)")
    }

    @Test(arguments: ["x", "1-", "3-1", "-1", "1,,2", "9999", "0-99999999999999999999"])
    func whatIsNoCPUListIsRefused(_ list: String) {
        #expect(throws: BerthError.self) {
            try exec {
                $0.execCPUAffinity = .init(); $0.execCPUAffinity?.initial = list
            }
        }
    }

    @Test func anExecWithoutAffinityMayRunOnEveryCPUOfItsCpuset() throws {
        #expect(try exec { _ in }.contains("sched_setaffinity mask=all"))
        #expect(try text { _ in }.contains("sched_setaffinity mask=all"))
    }

    @Test func theInitialAffinityStandsBeforeTheCgroups() throws {
        var process = RuntimeSpec.Process()
        process.args = ["/bin/true"]
        process.execCPUAffinity = .init()
        process.execCPUAffinity?.initial = "0"
        process.execCPUAffinity?.final = "1"
        let cgroup = Cgroup(host: Hosts.hybrid.cgroups, path: "/box")
        let target = ExecTarget(id: "box", pid: 7, namespaces: [.mount], cgroup: cgroup, linux: nil)
        let steps = try PlanCompiler(facts: Hosts.hybrid).compileExec(
            process: process, container: target, options: Specifications.options()
        ).steps.map(\.words)
        let initial = try #require(steps.firstIndex(of: "run on CPUs 0"))
        let final = try #require(steps.firstIndex(of: "run on CPUs 1"))
        let joined = try #require(steps.firstIndex { $0.hasPrefix("join cgroup") })
        #expect(initial < joined && joined < final)
    }

    @Test func homeIsLookedUpWhereTheEnvironmentHasNone() throws {
        #expect(try text { $0.process?.user = .init(uid: 7) }.contains("find the home of user 7"))
        #expect(try text { $0.process?.env = ["HOME="] }.contains("find the home of user 0"))
        #expect(try !text { $0.process?.env = ["HOME="] }.contains("\"HOME=\""))
        #expect(try !text { $0.process?.env = ["HOME=", "HOME=/x"] }.contains("find the home"))
    }

    @Test func aTimeNamespaceWithOffsetsIsEnteredAfterTheyAreSet() throws {
        let plan = try text {
            $0.linux?.namespaces?.append(.init(type: "time"))
            $0.linux?.timeOffsets = ["boottime": .init(secs: -5, nanosecs: 7)]
        }
        #expect(!plan.contains("NEWTIME") || plan.contains("unshare flags=NEWTIME"))
        let order = ["make the time namespace", "set the offsets of its clocks", "enter the time namespace"]
            .map { plan.ranges(of: $0).first?.lowerBound }
        #expect(order[0]! < order[1]! && order[1]! < order[2]!)
        #expect(plan.contains("boottime=-5.7"))
    }

    @Test func aMemoryPolicyIsAModeWithFlagsAndNodes() throws {
        let plan = try text {
            $0.linux?.memoryPolicy = .init(mode: "MPOL_BIND")
            $0.linux?.memoryPolicy?.flags = ["MPOL_F_STATIC_NODES"]
            $0.linux?.memoryPolicy?.nodes = "0,2"
        }
        #expect(plan.contains("set_mempolicy mode=\(2 | 1 << 15) nodes=0x05"))
    }

    @Test func aResctrlGroupIsMadeFilledAndJoined() throws {
        var facts = Hosts.hybrid
        facts.resctrl = "/sys/fs/resctrl"
        let plan = try text(
            {
                $0.linux?.intelRdt = .init()
                $0.linux?.intelRdt?.l3CacheSchema = "L3:0=ff"
                $0.linux?.intelRdt?.enableMonitoring = true
            }, on: facts)
        #expect(plan.contains("mkdir -p path=/sys/fs/resctrl/box "))
        #expect(plan.contains("write path=/sys/fs/resctrl/box/schemata value=\"L3:0=ff\\n\""))
        #expect(plan.contains("write tasks directory=/sys/fs/resctrl/box\n"))
        #expect(plan.contains("write tasks directory=/sys/fs/resctrl/box/mon_groups/box\n"))
    }

    /// Runtime specification, "Cgroup ownership".
    @Test(arguments: [
        ([], true, true, true), (["nosuid", "rw"], true, true, true), (["ro"], true, true, false),
        (["rro"], true, true, false), ([], false, true, false), ([], true, false, false),
    ])
    func theCgroupIsTheUsersWhereItsMountIsWritable(
        _ options: [String], hasNamespace: Bool, isUnified: Bool, isGiven: Bool
    ) throws {
        var facts = isUnified ? Hosts.unified : Hosts.hybrid
        facts.delegatedFiles = ["cgroup.procs", "memory.reclaim"]
        let plan = try text(
            {
                $0.process?.user = .init(uid: 7, gid: 0)
                $0.mounts = [.init(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: options)]
                if hasNamespace { $0.linux?.namespaces?.append(.init(type: "cgroup")) }
                $0.linux?.namespaces?.append(.init(type: "user"))
                $0.linux?.uidMappings = [
                    .init(containerID: 0, hostID: 1000, size: 5), .init(containerID: 5, hostID: 3000, size: 5),
                ]
                $0.linux?.gidMappings = [.init(containerID: 0, hostID: 1000, size: 10)]
            }, on: facts)
        let step =
            "chown directory=/sys/fs/cgroup/berth-plans/box uid=3002 files=[\"cgroup.procs\", \"memory.reclaim\"]"
        #expect(plan.contains(step) == isGiven, "\(plan)")
        #expect(plan.contains("chown directory") == isGiven)
    }

    @Test func aMountLabelIsForHostsWithSELinuxAndFilesystemsThatTakeOne() throws {
        var facts = Hosts.hybrid
        facts.hasSELinux = true
        let change: (inout RuntimeSpec) -> Void = {
            $0.linux?.mountLabel = "system_u:object_r:container_file_t:s0:c1,c2"
            $0.linux?.maskedPaths = ["/proc/acpi"]
            $0.mounts?.append(.init(destination: "/x", type: "tmpfs", source: "tmpfs"))
        }
        let labelled = try text(change, on: facts)
        #expect(labelled.contains("data=context=\"system_u:object_r:container_file_t:s0:c1,c2\""))
        #expect(try !text(change).contains("context="))
    }

    @Test func aPathIsMaskedOnce() throws {
        let plan = try text { $0.linux?.maskedPaths = ["/proc/kcore", "/proc/keys", "/proc/kcore"] }
        #expect(plan.ranges(of: "mask /proc/kcore").count == 1)
    }

    @Test func aDestinationBelowTheRootsOwnPathIsTakenWithoutIt() throws {
        let plan = try text { $0.mounts = [.init(destination: "/bundle/rootfs/data", type: "tmpfs", source: "tmpfs")] }
        #expect(plan.contains("target=/data "))
    }

    @Test func sourcesAreOpenedByWhoMay() throws {
        let bind = RuntimeSpec.Mount(destination: "/a", type: "bind", source: "/src", options: ["rbind"])
        let inside = RuntimeSpec.Mount(destination: "/b", type: "bind", source: "rootfs/a", options: ["bind"])
        #expect(try !text { $0.mounts = [bind, inside] }.contains("opener="))
        let plan = try text {
            $0.mounts = [bind, inside]
            $0.linux?.namespaces?.append(.init(type: "user"))
            $0.linux?.uidMappings = [.init(containerID: 0, hostID: 1000, size: 10)]
            $0.linux?.gidMappings = [.init(containerID: 0, hostID: 1000, size: 10)]
        }
        #expect(plan.contains("source=/src target=/a recursive=yes opener=host "))
        #expect(plan.contains("source=/bundle/rootfs/a target=/b opener=host-in-child "))
    }

    /// As a remount by mount(2): what is not named is cleared, but for access times, which only change by being set.
    @Test(arguments: [
        (["bind"], false, "target=/a make-target=yes"),
        (["bind", "ro"], false, "set=RDONLY clear=NOSUID|NODEV|NOEXEC|NOSYMFOLLOW make-target=yes"),
        (["bind", "atime", "dev"], false, "clear=RDONLY|NOSUID|NODEV|NOEXEC|NOSYMFOLLOW make-target=yes"),
        (
            ["bind", "ro", "noatime"], false,
            "set=RDONLY|NOATIME clear=NOSUID|NODEV|NOEXEC|NODIRATIME|NOSYMFOLLOW|ATIME"
        ),
        (["bind", "ro"], true, "set=RDONLY clear=NOSYMFOLLOW opener=host make-target=yes"),
        (["bind", "rw"], true, "clear=RDONLY|NOSYMFOLLOW opener=host make-target=yes locked=RDONLY"),
        (["bind", "atime"], true, "clear=NOSYMFOLLOW opener=host make-target=yes"),
        (
            ["bind", "strictatime"], true,
            "set=STRICTATIME clear=NODIRATIME|NOSYMFOLLOW|ATIME opener=host make-target=yes locked-access-time=yes"
        ),
    ])
    func optionsOfBindsSetAndClear(_ options: [String], _ inUserNamespace: Bool, _ expected: String) throws {
        let plan = try text {
            $0.mounts = [.init(destination: "/a", type: "bind", source: "/src", options: options)]
            if inUserNamespace { $0.linux?.namespaces?.append(.init(type: "user", path: "/run/user-ns")) }
        }
        #expect(plan.contains(expected), "\(plan.split(separator: "\n").filter { $0.contains("/src") })")
    }

    @Test func startContainerHooksWithoutAnEnvironmentHaveThatOfTheProcess() throws {
        let plan = try text {
            $0.hooks = .init()
            $0.hooks?.startContainer = [.init(path: "/bin/a"), .init(path: "/bin/b", env: ["X=1"])]
        }
        #expect(plan.ranges(of: "inherit-env=yes").count == 1)
        #expect(plan.contains("run startContainer hook #1: /bin/b"))
    }

    @Test func aDeviceOfTheConfigurationIsNotAllowedByItself() throws {
        let plan = try text {
            $0.linux?.devices = [.init(path: "/dev/kmsg", type: "c", major: 1, minor: 11)]
            $0.linux?.resources = .init()
            $0.linux?.resources?.devices = [.init(allow: false, access: "rwm")]
        }
        #expect(plan.contains("make the device /dev/kmsg"))
        #expect(!plan.contains("c 1:11 "))
    }

    @Test func withoutAMountNamespaceTheRootIsOnlyChangedTo() throws {
        let plan = try text { $0.linux?.namespaces = [.init(type: "pid")] }
        #expect(plan.contains("plain=yes"))
        #expect(plan.contains("change to the root\n"))
        #expect(!plan.contains("pivot_root"))
    }

    /// An ordinary user has none himself.
    @Test func inAUserNamespaceEveryCapabilityCanBeGiven() throws {
        let give: (inout RuntimeSpec) -> Void = {
            $0.process?.capabilities = .init()
            $0.process?.capabilities?.bounding = ["CAP_SYS_ADMIN"]
        }
        #expect(try !text(give, on: Self.ordinaryUser).contains("bounding=SYS_ADMIN"))
        let inside = try text(
            {
                give(&$0); Self.addUserNamespace(&$0)
            }, on: Self.ordinaryUser)
        #expect(inside.contains("bounding=SYS_ADMIN"), "\(inside)")
    }

    /// His launcher has no other right to look into it: for its namespaces, and for seccomp's notify descriptor.
    @Test func onlyTheContainerOfAnOrdinaryUserIsDumpable() throws {
        #expect(try text(Self.addUserNamespace, on: Self.ordinaryUser).contains("dumpable=yes"))
        #expect(try !text(Self.addUserNamespace).contains("dumpable"))
        let joining = try text(
            {
                Self.addUserNamespace(&$0)
                $0.linux?.namespaces?.removeAll { $0.type == "ipc" }
                $0.linux?.namespaces?.append(.init(type: "ipc", path: "/run/other/ipc"))
            }, on: Self.ordinaryUser)
        #expect(!joining.contains("dumpable"))
    }

    @Test func theClocksOfAnOrdinaryUsersContainerAreSetByItself() throws {
        let change: (inout RuntimeSpec) -> Void = {
            $0.linux?.namespaces?.append(.init(type: "time"))
            $0.linux?.timeOffsets = ["boottime": .init(secs: 5)]
        }
        func place(_ plan: String) -> Substring? {
            plan.split(separator: "\n").first { $0.contains("set the offsets of its clocks") }
        }
        let own = try text(
            {
                Self.addUserNamespace(&$0); change(&$0)
            }, on: Self.ordinaryUser)
        #expect(place(own)?.contains("child") == true, "\(own)")
        #expect(place(try text(change))?.contains("host") == true)
    }

    @Test func ptmxIsTheContainersOwnWhateverIsAskedFor() throws {
        let plan = try text { $0.linux?.devices = [.init(path: "/dev/ptmx", type: "c", major: 5, minor: 2)] }
        #expect(!plan.contains("make the device /dev/ptmx"))
        #expect(plan.contains("link /dev/ptmx"))
    }

    /// Only the root of a cgroup namespace may mount it anew.
    @Test func inAUserNamespaceWithoutACgroupNamespaceTheCgroupIsBound() throws {
        let change: (inout RuntimeSpec) -> Void = {
            Self.addUserNamespace(&$0)
            $0.mounts?.append(.init(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"]))
        }
        #expect(
            try text(change, on: Hosts.unified).contains("bind /sys/fs/cgroup/berth-plans/box at /sys/fs/cgroup"))
        let own = try text(
            {
                change(&$0)
                $0.linux?.namespaces?.append(.init(type: "cgroup"))
            }, on: Hosts.unified)
        #expect(own.contains("mount cgroup2 at /sys/fs/cgroup"), "\(own)")
    }

    private static var ordinaryUser: HostFacts {
        var facts = Hosts.hybrid
        facts.capabilities = 0
        facts.effectiveUserID = 1000
        facts.effectiveGroupID = 1000
        return facts
    }

    private static func addUserNamespace(_ spec: inout RuntimeSpec) {
        spec.linux?.namespaces?.append(.init(type: "user"))
        spec.linux?.uidMappings = [.init(containerID: 0, hostID: 1000, size: 1)]
        spec.linux?.gidMappings = [.init(containerID: 0, hostID: 1000, size: 1)]
    }
}
