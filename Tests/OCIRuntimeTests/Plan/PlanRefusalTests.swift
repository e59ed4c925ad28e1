internal import Core
internal import OCIRuntime
internal import OCISpec
internal import Testing

@Suite struct PlanRefusalTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let code: BerthError.Code
        let words: String
        let change: @Sendable (inout RuntimeSpec) -> Void
        var testDescription: String { words }

        init(_ code: BerthError.Code, _ words: String, _ change: @escaping @Sendable (inout RuntimeSpec) -> Void) {
            self.code = code
            self.words = words
            self.change = change
        }
    }

    @Test(arguments: [
        Case(.failedPrecondition, "linux.intelRdt: this host has no resctrl") { $0.linux?.intelRdt = .init() },
        Case(.invalidArgument, "linux.memoryPolicy.mode: invalid memory policy mode \"BIND\"") {
            $0.linux?.memoryPolicy = .init(mode: "BIND")
        },
        Case(.invalidArgument, "linux.memoryPolicy.flags: invalid memory policy flag \"fast\"") {
            $0.linux?.memoryPolicy = .init(mode: "MPOL_BIND")
            $0.linux?.memoryPolicy?.flags = ["fast"]
        },
        Case(.invalidArgument, "linux.memoryPolicy.nodes: invalid memory policy node") {
            $0.linux?.memoryPolicy = .init(mode: "MPOL_BIND")
            $0.linux?.memoryPolicy?.nodes = "0-9876543210"
        },
        Case(.invalidArgument, "linux.memoryPolicy.nodes: MPOL_DEFAULT mode requires 0 nodes but got 8") {
            $0.linux?.memoryPolicy = .init(mode: "MPOL_DEFAULT")
            $0.linux?.memoryPolicy?.nodes = "0-7"
        },
        Case(.invalidArgument, "linux.netDevices: needs a network namespace") {
            $0.linux?.netDevices = ["eth0": .init()]
            $0.linux?.namespaces = [.init(type: "mount")]
        },
        Case(.invalidArgument, "linux.netDevices: \"a/b\" is no name") {
            $0.linux?.netDevices = ["eth0": .init(name: "a/b")]
        },
        Case(.invalidArgument, "linux.timeOffsets: needs a new time namespace") {
            $0.linux?.timeOffsets = ["monotonic": .init(secs: 1)]
        },
        Case(.invalidArgument, "linux.timeOffsets: \"realtime\" must be monotonic or boottime") {
            $0.linux?.namespaces?.append(.init(type: "time"))
            $0.linux?.timeOffsets = ["realtime": .init(secs: 1)]
        },
        Case(.invalidArgument, "process.scheduler.policy: process scheduler can't be used together with AllowedCPUs") {
            $0.process?.scheduler = .init(policy: "SCHED_DEADLINE")
            $0.linux?.resources = .init()
            $0.linux?.resources?.cpu = .init()
            $0.linux?.resources?.cpu?.cpus = "0"
        },
        Case(.invalidArgument, "mounts[0].options: idmap needs mappings of ids") {
            $0.mounts = [.init(destination: "/a", type: "bind", source: "/b", options: ["bind", "idmap"])]
        },
        Case(.invalidArgument, "linux.seccomp.listenerPath: is missing") {
            $0.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
            $0.linux?.seccomp?.syscalls = [.init(names: ["mkdir"], action: "SCMP_ACT_NOTIFY")]
        },
        Case(.invalidArgument, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action") {
            $0.linux?.seccomp = .init(defaultAction: "SCMP_ACT_NOTIFY")
            $0.linux?.seccomp?.listenerPath = "/run/agent.sock"
        },
        // Setting it up hung for ever.
        Case(.invalidArgument, "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY cannot be used for the write syscall")
        {
            $0.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
            $0.linux?.seccomp?.listenerPath = "/run/agent.sock"
            $0.linux?.seccomp?.syscalls = [.init(names: ["write"], action: "SCMP_ACT_NOTIFY")]
        },
        Case(.invalidArgument, "linux.seccomp.flags[0]") {
            $0.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
            $0.linux?.seccomp?.flags = ["SECCOMP_FILTER_FLAG_X"]
        },
        Case(.invalidArgument, "mounts[0].options: \"size=1\" is no option of a bind mount") {
            $0.mounts = [.init(destination: "/a", type: "bind", source: "/b", options: ["size=1"])]
        },
        Case(.invalidArgument, "mounts[0].destination: \"/x/..\" must not be the root") {
            $0.mounts = [.init(destination: "/x/..", type: "tmpfs", source: "tmpfs")]
        },
        Case(.failedPrecondition, "process.apparmorProfile") { $0.process?.apparmorProfile = "strict" },
        Case(.failedPrecondition, "process.selinuxLabel") { $0.process?.selinuxLabel = "a:b:c" },
        Case(.failedPrecondition, "linux.resources.unified: invalid configuration: this host has hybrid cgroups") {
            $0.linux?.resources = .init()
            $0.linux?.resources?.unified = ["memory.high": "1"]
        },
        Case(.failedPrecondition, "linux.resources.rdma: cannot set rdma limit: container could not join or create") {
            $0.linux?.resources = .init()
            $0.linux?.resources?.rdma = ["mlx5": .init()]
        },
    ])
    func whatCannotBeDoneIsRefusedByItsField(_ refusal: Case) throws {
        var spec = Specifications.small()
        refusal.change(&spec)
        let error = #expect(throws: BerthError.self) {
            try PlanCompiler(facts: Hosts.hybrid).compile(spec, options: Specifications.options())
        }
        #expect(error?.code == refusal.code)
        #expect(error?.message.contains(refusal.words) == true, "\(error?.message ?? "")")
    }

    @Test func aCapabilityThatTheHostLacksIsLeftOut() throws {
        var facts = Hosts.hybrid
        facts.capabilities = Capability.kill.bit
        var spec = Specifications.small()
        spec.process?.capabilities = DefaultProfile.capabilitySets(["CAP_KILL", "CAP_SYS_RESOURCE"])
        let plan = try PlanCompiler(facts: facts).compile(spec, options: Specifications.options())
        #expect(PlanPrinter.text(plan).contains("bounding=KILL permitted=KILL effective=KILL"))
    }

    @Test func ambientCapabilitiesNeedToBePermittedAndInheritable() throws {
        var spec = Specifications.small()
        var sets = DefaultProfile.capabilitySets(["CAP_KILL", "CAP_CHOWN"])
        sets.inheritable = ["CAP_KILL"]
        sets.ambient = ["CAP_KILL", "CAP_CHOWN"]
        spec.process?.capabilities = sets
        let plan = try PlanCompiler(facts: Hosts.hybrid).compile(spec, options: Specifications.options())
        #expect(PlanPrinter.text(plan).contains("inheritable=KILL ambient=KILL"))
    }

    @Test func podSysctlsNeedTheirNamespace() {
        var request = SandboxPlanRequest(id: "pod", pins: [("ipc", "/run/pod/ns/ipc")])
        request.sysctls = ["net.core.somaxconn": "1"]
        #expect(throws: BerthError.self) { try PlanCompiler(facts: Hosts.hybrid).compileSandbox(request) }
    }
}
