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
        Case(.unimplemented, "linux.intelRdt") { $0.linux?.intelRdt = .init() },
        Case(.unimplemented, "linux.memoryPolicy") { $0.linux?.memoryPolicy = .init(mode: "MPOL_BIND") },
        Case(.unimplemented, "linux.mountLabel") { $0.linux?.mountLabel = "x" },
        Case(.unimplemented, "linux.netDevices") { $0.linux?.netDevices = ["eth0": .init()] },
        Case(.unimplemented, "process.execCPUAffinity") {
            $0.process?.execCPUAffinity = .init()
            $0.process?.execCPUAffinity?.final = "0"
        },
        Case(.unimplemented, "linux.namespaces") { $0.linux?.namespaces = [.init(type: "pid")] },
        Case(.invalidArgument, "process.capabilities.effective[0]: \"CAP_MAGIC\"") {
            $0.process?.capabilities = .init()
            $0.process?.capabilities?.effective = ["CAP_MAGIC"]
        },
        Case(.invalidArgument, "linux.seccomp.listenerPath: is missing") {
            $0.linux?.seccomp = .init(defaultAction: "SCMP_ACT_NOTIFY")
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
        Case(.failedPrecondition, "linux.resources.unified: this host has hybrid cgroups") {
            $0.linux?.resources = .init()
            $0.linux?.resources?.unified = ["memory.high": "1"]
        },
        Case(.failedPrecondition, "linux.resources.rdma: this host has no rdma cgroup controller") {
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
