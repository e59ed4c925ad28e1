import Core
import NRIAPI
import OCISpec
import Testing

@testable import NRI

@Suite struct AdjustmentTests {
    private func container(_ change: (inout RuntimeSpec) -> Void = { _ in }) -> AdjustedContainer {
        var spec = RuntimeSpec()
        var process = RuntimeSpec.Process()
        process.args = ["serve"]
        process.env = ["A=1", "B=2", "C=3"]
        spec.process = process
        spec.annotations = ["kept": "yes"]
        spec.mounts = [
            .init(destination: "/proc", type: "proc"), .init(destination: "/data/x", type: "bind", source: "/x"),
        ]
        spec.linux = RuntimeSpec.Linux()
        spec.linux?.namespaces = [.init(type: "mount"), .init(type: "ipc", path: "/ipc")]
        change(&spec)
        return AdjustedContainer(id: "c", spec: spec)
    }

    private func adjustment(_ fill: (inout NRIContainerAdjustment) -> Void) -> NRIContainerAdjustment { .with(fill) }

    @Test func namesWithAMinusGoAndOthersAreSet() throws {
        var result = container()
        try result.apply(
            adjustment {
                $0.annotations = ["-kept": "", "new": "1"]
                $0.env = [.with { $0.key = "-A" }, .pair("B", "two"), .pair("D", "4")]
                $0.mounts = [
                    .with { $0.destination = "-/data/x" },
                    .with {
                        $0.destination = "/data"
                        $0.type = "bind"
                        $0.source = "/srv"
                        $0.options = ["rbind", "rslave"]
                    },
                ]
                $0.linux.namespaces = [.with { $0.type = "-ipc" }]
                $0.linux.sysctl = ["net.core.somaxconn": "9"]
            }, by: "10-a")
        #expect(result.spec.annotations == ["new": "1"])
        #expect(result.spec.process?.env == ["B=two", "C=3", "D=4"])
        #expect(result.spec.mounts?.map(\.destination) == ["/proc", "/data"])
        #expect(result.spec.linux?.rootfsPropagation == "rslave")
        #expect(result.spec.linux?.namespaces?.map(\.type) == ["mount"])
        #expect(result.spec.linux?.sysctl == ["net.core.somaxconn": "9"])
    }

    @Test func everyPartOfTheProcessCanBeSet() throws {
        var result = container()
        try result.apply(
            adjustment {
                $0.args = ["wrap", "serve"]
                $0.rlimits = [
                    .with {
                        $0.type = "RLIMIT_NOFILE"
                        $0.soft = 10
                        $0.hard = 20
                    }
                ]
                $0.hooks.poststart = [.with { $0.path = "/bin/true" }]
                $0.cdiDevices = [.with { $0.name = "v.com/c=d" }]
                $0.linux.oomScoreAdj.value = 77
                $0.linux.ioPriority.class = .be
                $0.linux.ioPriority.priority = 3
                $0.linux.scheduler.policy = .schedBatch
                $0.linux.scheduler.nice = 5
                $0.linux.seccompPolicy.defaultAction = "SCMP_ACT_ALLOW"
                $0.linux.memoryPolicy.mode = .mpolInterleave
                $0.linux.memoryPolicy.nodes = "0"
                $0.linux.cgroupsPath = "/elsewhere"
                $0.linux.devices = [
                    .with {
                        $0.path = "/dev/nothing"
                        $0.type = "c"
                        $0.major = 1
                        $0.minor = 3
                    }
                ]
                $0.linux.resources.memory.limit.value = 1 << 20
                $0.linux.resources.cpu.shares.value = 55
                $0.linux.resources.pids.limit = 9
                $0.linux.resources.unified = ["memory.high": "5"]
                $0.linux.resources.rdtClass.value = "gold"
            }, by: "10-a")
        let spec = result.spec
        #expect(spec.process?.args == ["wrap", "serve"])
        #expect(spec.process?.rlimits == [.init(type: "RLIMIT_NOFILE", soft: 10, hard: 20)])
        #expect(spec.hooks?.poststart?.map(\.path) == ["/bin/true"])
        #expect(result.cdiDevices == ["v.com/c=d"])
        #expect(spec.process?.oomScoreAdj == 77)
        #expect(spec.process?.ioPriority == .init(class: "IOPRIO_CLASS_BE", priority: 3))
        #expect(spec.process?.scheduler?.policy == "SCHED_BATCH")
        #expect(spec.linux?.seccomp?.defaultAction == "SCMP_ACT_ALLOW")
        #expect(spec.linux?.memoryPolicy?.mode == "MPOL_INTERLEAVE")
        #expect(spec.linux?.cgroupsPath == "/elsewhere")
        #expect(spec.linux?.devices?.map(\.path) == ["/dev/nothing"])
        #expect(
            spec.linux?.resources?.devices
                == [.init(allow: true, type: "c", major: 1, minor: 3, access: "rw")])
        #expect(spec.linux?.resources?.memory?.limit == 1 << 20)
        #expect(spec.linux?.resources?.memory?.swap == 1 << 20)
        #expect(spec.linux?.resources?.cpu?.shares == 55)
        #expect(spec.linux?.resources?.pids?.limit == 9)
        #expect(spec.linux?.resources?.unified == ["memory.high": "5"])
        #expect(spec.linux?.intelRdt?.closID == "gold")
    }

    @Test func twoPluginsMayNotSetOneFieldUnlessTheLaterRemovesIt() throws {
        var result = container()
        try result.apply(adjustment { $0.env = [.pair("X", "1")] }, by: "10-a")
        try result.apply(adjustment { $0.env = [.pair("Y", "1")] }, by: "20-b")
        var spoilt = result
        let error = try #require(throws: BerthError.self) {
            try spoilt.apply(adjustment { $0.env = [.pair("X", "2")] }, by: "20-b")
        }
        #expect("\(error)".contains("plugins 10-a and 20-b both set env \"X\" of container \"c\""))
        try result.apply(adjustment { $0.env = [.with { $0.key = "-X" }, .pair("X", "2")] }, by: "20-b")
        #expect(result.spec.process?.env?.suffix(2) == ["X=2", "Y=1"])
        #expect(result.claims.message.compound[Int32(NRIField.env.rawValue)]?.owners == ["X": "20-b", "Y": "20-b"])

        try result.apply(adjustment { $0.args = ["one"] }, by: "10-a")
        #expect(throws: BerthError.self) {
            var spoilt = result
            try spoilt.apply(adjustment { $0.args = ["two"] }, by: "20-b")
        }
        try result.apply(adjustment { $0.args = ["", "two"] }, by: "20-b")
        #expect(result.spec.process?.args == ["two"])

        // Hooks of all are run.
        for name in ["10-a", "20-b"] {
            try result.apply(adjustment { $0.hooks.prestart = [.with { $0.path = "/\(name)" }] }, by: name)
        }
        #expect(result.spec.hooks?.prestart?.map(\.path) == ["/10-a", "/20-b"])
        #expect(result.claims.message.simple[Int32(NRIField.ociHooks.rawValue)] == "10-a,20-b")
    }

    @Test func limitsOfAnUpdateAreMergedAndContested() throws {
        var given = RuntimeSpec.Linux.Resources()
        given.cpu = .init()
        given.cpu?.shares = 100
        var limits = AdjustedLimits(given)
        var claims = FieldClaims(containerID: "c")
        try limits.apply(.with { $0.cpu.quota.value = 5000 }, by: "10-a", &claims)
        #expect(limits.limits.cpu?.shares == 100)
        #expect(limits.limits.cpu?.quota == 5000)
        #expect(throws: BerthError.self) {
            try limits.apply(.with { $0.cpu.quota.value = 6000 }, by: "20-b", &claims)
        }
        let error = try #require(throws: BerthError.self) {
            try limits.apply(.with { $0.blockioClass.value = "slow" }, by: "20-b", &claims)
        }
        #expect("\(error)".contains("blockio_class \"slow\""))
    }

    @Test func aLargeStateGoesInMessagesThatAreSmallEnough() {
        let pods = (0..<10).map { number in NRIPodSandbox.with { $0.id = "pod\(number)" } }
        let containers = (0..<10).map { number in
            NRIContainer.with { $0.id = String(repeating: "\(number)", count: 64) }
        }
        let pieces = SynchronizationPieces.make(pods, containers, limit: 200)
        #expect(pieces.count > 3)
        #expect(pieces.flatMap(\.pods) == pods)
        #expect(pieces.flatMap(\.containers) == containers)
        #expect(pieces.dropLast().allSatisfy { $0.more })
        #expect(pieces.last?.more == false)
        #expect(SynchronizationPieces.make([], []).count == 1)
    }
}

extension NRIKeyValue {
    static func pair(_ key: String, _ value: String) -> NRIKeyValue {
        with {
            $0.key = key
            $0.value = value
        }
    }
}
