internal import Core
internal import OCISpec
internal import Testing

@Suite struct RuntimeSpecValidationTests {
    static func valid() -> RuntimeSpec {
        var spec = RuntimeSpec()
        spec.ociVersion = "1.0.2"
        spec.root = .init(path: "rootfs")
        var process = RuntimeSpec.Process()
        process.args = ["sh"]
        spec.process = process
        var linux = RuntimeSpec.Linux()
        linux.namespaces = [.init(type: "mount"), .init(type: "pid")]
        spec.linux = linux
        return spec
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let field: String
        let change: @Sendable (inout RuntimeSpec) -> Void
        var testDescription: String { field }

        init(_ field: String, _ change: @escaping @Sendable (inout RuntimeSpec) -> Void) {
            self.field = field
            self.change = change
        }
    }

    @Test func aPlainSpecificationIsValid() throws {
        try Self.valid().validate()
    }

    @Test(arguments: [
        Case("ociVersion: must not be empty") { $0.ociVersion = "" },
        Case("ociVersion: \"1.0\"") { $0.ociVersion = "1.0" },
        Case("ociVersion: \"2.0.0\"") { $0.ociVersion = "2.0.0" },
        Case("root: is missing") { $0.root = nil },
        Case("root.path:") { $0.root?.path = "" },
        Case("process.args: must not be empty") { $0.process?.args = [] },
        Case("process.cwd: \"tmp\" must be absolute") { $0.process?.cwd = "tmp" },
        Case("process.env[0]") { $0.process?.env = ["PATH"] },
        Case("process.user.umask") { $0.process?.user?.umask = 0o1000 },
        Case("process.oomScoreAdj") { $0.process?.oomScoreAdj = 1001 },
        Case("process.rlimits[0].type: \"RLIMIT_X\" is unknown") {
            $0.process?.rlimits = [.init(type: "RLIMIT_X", soft: 1, hard: 1)]
        },
        Case("process.rlimits[1].type: \"RLIMIT_CPU\" stands there twice") {
            $0.process?.rlimits = [
                .init(type: "RLIMIT_CPU", soft: 1, hard: 1), .init(type: "RLIMIT_CPU", soft: 1, hard: 1),
            ]
        },
        Case("process.rlimits[0]: has a soft limit of 2") {
            $0.process?.rlimits = [.init(type: "RLIMIT_CPU", soft: 2, hard: 1)]
        },
        Case("process.scheduler.policy") { $0.process?.scheduler = .init(policy: "SCHED_MAGIC") },
        Case("process.scheduler: has runtime") {
            $0.process?.scheduler = .init(policy: "SCHED_OTHER")
            $0.process?.scheduler?.runtime = 1
        },
        Case("process.ioPriority.class") { $0.process?.ioPriority = .init(class: "IOPRIO_CLASS_X") },
        Case("mounts[0].destination") { $0.mounts = [.init(destination: "", type: "proc")] },
        Case("mounts[0].source: must not be empty for a bind mount") {
            $0.mounts = [.init(destination: "/a", options: ["rbind"])]
        },
        Case("mounts[0].type: is missing") { $0.mounts = [.init(destination: "/a", source: "b")] },
        Case("hooks.prestart[0].path") {
            $0.hooks = RuntimeSpec.Hooks()
            $0.hooks?.prestart = [.init(path: "bin/hook")]
        },
        Case("hooks.poststop[0].timeout") {
            $0.hooks = RuntimeSpec.Hooks()
            $0.hooks?.poststop = [.init(path: "/hook", timeout: 0)]
        },
        Case("linux.namespaces[0].type: \"nett\" is unknown") { $0.linux?.namespaces = [.init(type: "nett")] },
        Case("linux.namespaces[1].type: \"pid\" stands there twice") {
            $0.linux?.namespaces = [.init(type: "pid"), .init(type: "pid")]
        },
        Case("linux.namespaces[0].path") { $0.linux?.namespaces = [.init(type: "pid", path: "proc/1/ns/pid")] },
        Case("hostname: needs a uts namespace") { $0.hostname = "box" },
        Case("linux.uidMappings: needs a user namespace") {
            $0.linux?.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 1)]
        },
        Case("linux.uidMappings: is missing for the new user namespace") {
            $0.linux?.namespaces = [.init(type: "mount"), .init(type: "user")]
        },
        Case("linux.timeOffsets: needs a new time namespace") { $0.linux?.timeOffsets = ["monotonic": .init(secs: 1)] },
        Case("linux.sysctl[\"net.core.somaxconn\"]: needs a network namespace") {
            $0.linux?.sysctl = ["net.core.somaxconn": "1"]
        },
        Case("linux.sysctl[\"kernel.panic\"]: is not confined") { $0.linux?.sysctl = ["kernel.panic": "1"] },
        Case("linux.sysctl[\"kernel/shmmax\"]: needs a ipc namespace") { $0.linux?.sysctl = ["kernel/shmmax": "1"] },
        Case("linux.devices[0].path") { $0.linux?.devices = [.init(path: "dev/x", type: "c", major: 1, minor: 1)] },
        Case("linux.devices[0].type") { $0.linux?.devices = [.init(path: "/dev/x", type: "x", major: 1, minor: 1)] },
        Case("linux.devices[0].minor: is missing") { $0.linux?.devices = [.init(path: "/dev/x", type: "c", major: 1)] },
        Case("linux.maskedPaths[0]") { $0.linux?.maskedPaths = ["proc/kcore"] },
        Case("linux.rootfsPropagation") { $0.linux?.rootfsPropagation = "sideways" },
        Case("linux.seccomp.syscalls[0].args[0].index") {
            $0.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
            $0.linux?.seccomp?.syscalls = [
                .init(
                    names: ["read"], action: "SCMP_ACT_ERRNO", args: [.init(index: 6, value: 0, op: "SCMP_CMP_EQ")])
            ]
        },
        Case("linux.resources.devices[0].access") {
            $0.linux?.resources = .init()
            $0.linux?.resources?.devices = [.init(allow: true, access: "rx")]
        },
        Case("linux.resources.memory.swap") {
            $0.linux?.resources = .init()
            $0.linux?.resources?.memory = .init()
            $0.linux?.resources?.memory?.limit = 100
            $0.linux?.resources?.memory?.swap = 50
        },
    ])
    func whatBreaksTheSpecificationIsRefusedByItsField(_ violation: Case) throws {
        var spec = Self.valid()
        violation.change(&spec)
        let error = #expect(throws: BerthError.self) { try spec.validate() }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.hasPrefix("config.json: \(violation.field)") == true, "\(error?.message ?? "")")
    }

    @Test func sysctlNamesHaveTheirSeparators() {
        #expect(RuntimeSpec.normalizedSysctl("net/ipv4/conf/eth0.1/forwarding") == "net.ipv4.conf.eth0/1.forwarding")
        #expect(RuntimeSpec.normalizedSysctl("net.ipv4.conf.eth0/1.forwarding") == "net.ipv4.conf.eth0/1.forwarding")
    }

    @Test func everyFieldSurvivesARoundTrip() throws {
        let text = """
            {"ociVersion":"1.2.0","hostname":"h","root":{"path":"r","readonly":true},
             "process":{"terminal":true,"consoleSize":{"height":24,"width":80},"user":{"uid":1,"gid":2,"umask":18,
              "additionalGids":[3]},"args":["a"],"env":["A=b"],"cwd":"/","capabilities":{"bounding":["CAP_KILL"]},
              "rlimits":[{"type":"RLIMIT_CPU","soft":1,"hard":18446744073709551615}],"noNewPrivileges":true,
              "oomScoreAdj":-5,"scheduler":{"policy":"SCHED_BATCH","nice":3},"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":1}},
             "mounts":[{"destination":"/p","type":"proc","source":"proc","options":["ro"]}],
             "hooks":{"createRuntime":[{"path":"/h","args":["h"],"timeout":3}]},"annotations":{"k":"v"},
             "linux":{"namespaces":[{"type":"mount"},{"type":"uts","path":"/x"}],"cgroupsPath":"/c","sysctl":{"net.x":"1"},
              "devices":[{"path":"/dev/x","type":"c","major":1,"minor":2,"fileMode":438}],
              "resources":{"memory":{"limit":-1},"cpu":{"shares":2,"cpus":"0-1"},"pids":{"limit":5},
               "blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]},"unified":{"memory.high":"1"},
               "devices":[{"allow":false,"access":"rwm"}],"hugepageLimits":[{"pageSize":"2MB","limit":9}]},
              "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],
               "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]},
              "maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"],"rootfsPropagation":"slave"}}
            """
        let value = try StrictJSON.parse(Array(text.utf8), what: "spec")
        let spec = try StrictJSON.decode(RuntimeSpec.self, from: Array(text.utf8), what: "spec")
        let again = try StrictJSON.parse(try StrictJSON.encode(spec), what: "spec")
        #expect(try StrictJSON.encode(again) == StrictJSON.encode(value))
    }
}
