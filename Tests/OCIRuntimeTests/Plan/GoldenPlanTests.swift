internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import Testing

/// Plans in text form, compared with Tests/Fixtures/Plans. BERTH_RECORD_PLANS=1 writes them anew; the difference is then
/// read before it is committed.
@Suite struct GoldenPlanTests {
    private func expect(
        _ plan: Berth_Launch_V1_Plan, isGolden name: String, location: SourceLocation = #_sourceLocation
    ) throws {
        let file = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            .pushing("Fixtures/Plans").appending("\(name).plan")
        let text = PlanPrinter.text(plan)
        if Environment.value("BERTH_RECORD_PLANS") == "1" {
            try Files.writeAtomically(file, Array(text.utf8), mode: 0o644)
        }
        let golden = String(decoding: try Files.read(file, limit: 1 << 20), as: UTF8.self)
        let different = zip(text.split(separator: "\n"), golden.split(separator: "\n")).first { $0 != $1 }
        #expect(
            text == golden, "\(name): \(different?.0 ?? "") instead of \(different?.1 ?? "")", sourceLocation: location)
    }

    private func compile(
        _ spec: RuntimeSpec, on facts: HostFacts = Hosts.hybrid, _ change: (inout CompileOptions) -> Void = { _ in }
    ) throws -> Berth_Launch_V1_Plan {
        try PlanCompiler(facts: facts).compile(spec, options: Specifications.options(change))
    }

    @Test func theDefaultSpecificationOnHybridCgroups() throws {
        let plan = try compile(DefaultProfile.specification()) {
            $0.start = .onFIFO("/run/box/exec.fifo")
            $0.sibling = true
            $0.consoleSocket = "/run/box/console.sock"
        }
        try expect(plan, isGolden: "default-hybrid")
    }

    @Test func theDefaultSpecificationOnUnifiedCgroups() throws {
        try expect(try compile(DefaultProfile.specification(), on: Hosts.unified), isGolden: "default-unified")
    }

    @Test func withoutACgroupNamespaceTheOwnDirectoriesAreBound() throws {
        var spec = Specifications.small()
        spec.mounts?.append(.init(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"]))
        try expect(try compile(spec), isGolden: "cgroup-binds")
    }

    private func podContainer() -> RuntimeSpec {
        var spec = Specifications.small(["sh", "-c", "exit 0"])
        spec.linux?.namespaces = [
            .init(type: "mount"), .init(type: "pid"), .init(type: "cgroup"),
            .init(type: "network", path: "/run/pod/ns/net"), .init(type: "ipc", path: "/run/pod/ns/ipc"),
            .init(type: "uts", path: "/run/pod/ns/uts"),
        ]
        spec.process?.noNewPrivileges = true
        spec.process?.capabilities = DefaultProfile.capabilitySets()
        spec.process?.oomScoreAdj = 500
        spec.process?.user = .init(uid: 1000, gid: 1000, umask: 0o77, additionalGids: [5, 6])
        spec.process?.cwd = "/work"
        spec.linux?.seccomp = DefaultProfile.seccomp()
        spec.mounts?.append(
            .init(
                destination: "/etc/hosts", type: "bind", source: "/run/pod/hosts", options: ["rbind", "rprivate", "ro"])
        )
        return spec
    }

    private func ofAPod(_ options: inout CompileOptions) {
        options.start = .onMonitorRequest(programMayBeMissing: false)
        options.rootfs = "/run/box/rootfs"
        options.overlay = OverlayRoot(lower: ["/s/2/fs", "/s/1:a/fs"], upper: "/s/3/fs", work: "/s/3/work")
        options.monitor = MonitorOptions(socket: "/run/box/monitor.sock", exitPath: "/run/box/exit.pb")
        options.stdio = StdioOptions(stdin: true, stdinOnce: true, logPath: "/var/log/box.log")
    }

    @Test func aContainerOfAPodWithMonitorAndOverlay() throws {
        try expect(try compile(podContainer(), ofAPod), isGolden: "pod-container")
    }

    @Test func aContainerOfAPodWithBaseMounts() throws {
        let plan = try compile(podContainer()) {
            ofAPod(&$0)
            $0.baseMounts = "/proc/1/fd/9"
        }
        try expect(plan, isGolden: "pod-container-base")
    }

    @Test(arguments: [
        "a user namespace", "a createContainer hook", "shared mounts", "a bind out of the root", "many binds",
        "many layers before Linux 6.8",
    ])
    func theHostsMountsAreCopiedWhereTheyAreNeeded(_ reason: String) throws {
        var spec = podContainer()
        var facts = Hosts.hybrid
        switch reason {
        case "a user namespace":
            spec.linux?.namespaces?.append(.init(type: "user"))
            spec.linux?.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
            spec.linux?.gidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        case "a createContainer hook":
            spec.hooks = .init()
            spec.hooks?.createContainer = [.init(path: "/bin/hook")]
        case "shared mounts": spec.linux?.rootfsPropagation = "rshared"
        case "a bind out of the root":
            spec.mounts?.append(.init(destination: "/b", type: "bind", source: "/run/box/rootfs/a", options: ["bind"]))
        case "many binds":
            spec.mounts? += (0..<64).map {
                .init(destination: "/b\($0)", type: "bind", source: "/a", options: ["bind"])
            }
        default: facts.takesLayersSingly = false
        }
        let plan = try compile(spec, on: facts) {
            ofAPod(&$0)
            $0.baseMounts = "/proc/1/fd/9"
            if reason.hasPrefix("many layers") { $0.overlay?.lower = (0..<40).map { FilePath("/snapshots/\($0)") } }
        }
        #expect(!plan.steps.contains { $0.openRoot.baseMounts != "" })
        #expect(plan.steps.contains { $0.clone.flags & UInt64(NamespaceTypes.mount.rawValue) != 0 })
    }

    @Test func aUserNamespace() throws {
        var spec = Specifications.small()
        spec.linux?.namespaces?.append(.init(type: "user"))
        spec.linux?.namespaces?.append(.init(type: "cgroup"))
        spec.linux?.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        spec.linux?.gidMappings = [.init(containerID: 0, hostID: 200_000, size: 65536)]
        spec.mounts?.append(.init(destination: "/data", type: "bind", source: "/srv", options: ["rbind", "idmap"]))
        try expect(try compile(spec), isGolden: "user-namespace")
    }

    @Test func aUserNamespaceThatIsJoined() throws {
        var spec = Specifications.small()
        spec.linux?.namespaces = [
            .init(type: "mount"), .init(type: "pid"), .init(type: "user", path: "/run/pod/ns/user"),
            .init(type: "network", path: "/run/pod/ns/net"),
        ]
        try expect(try compile(spec), isGolden: "user-namespace-joined")
    }

    @Test func mountOptions() throws {
        var spec = Specifications.small()
        spec.linux?.rootfsPropagation = "shared"
        spec.root?.readonly = true
        spec.mounts = [
            .init(destination: "dev", type: "tmpfs", source: "tmpfs", options: ["ro", "size=1m"]),
            .init(destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "noexec", "mode=1777"]),
            .init(destination: "/a", type: "bind", source: "/srv/a", options: ["bind", "ro", "nosuid", "noatime"]),
            .init(destination: "/b", type: "bind", source: "data", options: ["rbind", "rro", "rshared"]),
            .init(destination: "/c", source: "/srv/c", options: ["rbind", "rw", "exec", "relatime"]),
            .init(destination: "/a", type: "none", source: "none", options: ["remount", "ro"]),
            .init(destination: "/", options: ["rslave"]),
        ]
        spec.mounts?.removeLast()
        try expect(try compile(spec), isGolden: "mount-options")
    }

    @Test func everyKindOfLimitOnV1() throws {
        var spec = Specifications.small()
        spec.linux?.resources = Self.limits()
        try expect(try compile(spec), isGolden: "limits-hybrid")
    }

    @Test func everyKindOfLimitOnV2() throws {
        var spec = Specifications.small()
        spec.linux?.resources = Self.limits()
        spec.linux?.resources?.unified = ["memory.high": "5000", "pids.max": "7"]
        try expect(try compile(spec, on: Hosts.unified), isGolden: "limits-unified")
    }

    private static func limits() -> RuntimeSpec.Linux.Resources {
        var resources = RuntimeSpec.Linux.Resources()
        var memory = RuntimeSpec.Linux.Resources.Memory()
        memory.limit = 1 << 20
        memory.swap = 3 << 20
        memory.reservation = 1 << 19
        resources.memory = memory
        var cpu = RuntimeSpec.Linux.Resources.CPU()
        cpu.shares = 512
        cpu.quota = 50_000
        cpu.period = 100_000
        cpu.cpus = "0"
        cpu.mems = "0"
        resources.cpu = cpu
        resources.pids = .init(limit: 100)
        var io = RuntimeSpec.Linux.Resources.BlockIO()
        io.weight = 200
        io.throttleReadBpsDevice = [.init(major: 8, minor: 0, rate: 1_000_000)]
        io.throttleWriteIOPSDevice = [.init(major: 8, minor: 0, rate: 50)]
        resources.blockIO = io
        resources.devices = [
            .init(allow: false, access: "rwm"), .init(allow: true, type: "c", major: 10, minor: 229, access: "rw"),
        ]
        return resources
    }

    @Test func hooksSysctlsAndLimitsOfTheProcess() throws {
        var spec = Specifications.small()
        spec.hostname = "box"
        spec.domainname = "example.org"
        spec.hooks = RuntimeSpec.Hooks()
        spec.hooks?.prestart = [.init(path: "/hooks/prestart")]
        spec.hooks?.createRuntime = [.init(path: "/hooks/runtime", args: ["runtime", "a b"], env: ["X=1"], timeout: 5)]
        spec.hooks?.createContainer = [.init(path: "/hooks/container")]
        spec.hooks?.startContainer = [.init(path: "/hooks/start")]
        spec.linux?.sysctl = [
            "net.ipv4.ip_forward": "1", "kernel.shmmax": "4096", "net/ipv4/conf/eth0.1/forwarding": "1",
        ]
        spec.process?.rlimits = [
            .init(type: "RLIMIT_NOFILE", soft: 10, hard: 20),
            .init(type: "RLIMIT_CORE", soft: UInt64.max, hard: UInt64.max),
        ]
        spec.process?.scheduler = .init(policy: "SCHED_BATCH")
        spec.process?.scheduler?.nice = 5
        spec.process?.ioPriority = .init(class: "IOPRIO_CLASS_BE", priority: 3)
        spec.linux?.personality = .init(domain: "LINUX32")
        spec.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
        spec.linux?.devices = [
            .init(path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o660, uid: 1, gid: 2),
            .init(path: "/dev/pipe", type: "p"),
        ]
        try expect(
            try compile(spec) {
                $0.start = .onFIFO("/f"); $0.noPivot = true
            }, isGolden: "hooks")
    }

    @Test func execJoinsTheContainer() throws {
        var process = RuntimeSpec.Process()
        process.args = ["ls", "-l"]
        process.env = ["A=1", "PATH=/bin", "A=2"]
        process.terminal = true
        process.consoleSize = .init(height: 24, width: 80)
        let host = Hosts.hybrid.cgroups
        let target = ExecTarget(
            id: "box", pid: 4242, namespaces: [.mount, .pid, .network, .cgroup],
            cgroup: Cgroup(host: host, path: "/box"),
            linux: nil)
        let plan = try PlanCompiler(facts: Hosts.hybrid).compileExec(
            process: process, container: target, options: Specifications.options { $0.sibling = true })
        try expect(plan, isGolden: "exec")
    }

    @Test func aSandboxWhoseProcessEnds() throws {
        var request = SandboxPlanRequest(
            id: "pod", pins: [("network", "/run/pod/ns/net"), ("ipc", "/run/pod/ns/ipc"), ("uts", "/run/pod/ns/uts")])
        request.hostname = "pod"
        request.sysctls = ["net.ipv4.ip_unprivileged_port_start": "0"]
        request.cgroupPath = "/pods/pod"
        try expect(try PlanCompiler(facts: Hosts.hybrid).compileSandbox(request), isGolden: "sandbox")
    }

    @Test func aSandboxWithASharedPIDNamespace() throws {
        var request = SandboxPlanRequest(id: "pod", pins: [("network", "/run/pod/ns/net"), ("pid", "/run/pod/ns/pid")])
        request.sharedPID = MonitorOptions(socket: "/run/pod/monitor.sock", exitPath: "/run/pod/exit.pb")
        try expect(try PlanCompiler(facts: Hosts.unified).compileSandbox(request), isGolden: "sandbox-shared-pid")
    }
}
