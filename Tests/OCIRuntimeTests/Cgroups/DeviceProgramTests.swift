internal import LinuxKernel
@testable internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

/// On a cgroup2 of the real host, also of a hybrid one.
@Suite struct DeviceProgramTests {
    static var isPossible: Bool {
        Syscall.effectiveUserID == 0 && DeviceProgram.isSupported && (try? CgroupHost.detect())?.unified != nil
    }

    @Test(
        .enabled(if: isPossible, "needs root, cgroup2 and a kernel with BPF_CGROUP_DEVICE"),
        arguments: [
            ("true < /dev/null", true), ("true < /dev/zero", false), ("true < /dev/full", true),
            ("true > /dev/full", false),
            ("true < /dev/tty0", false),
        ] as [(String, Bool)])
    func theLastRuleThatFitsDecides(use: String, isAllowed: Bool) throws {
        let (cgroup, directory) = try makeCgroup()
        defer { try? cgroup.delete() }
        try DeviceProgram([
            .init(allow: false, access: "rwm"), .init(allow: true, type: "c", major: 1, access: "rwm"),
            .init(allow: false, type: "c", major: 1, minor: 5, access: "r"),
            .init(allow: false, type: "c", major: 1, minor: 7, access: "w"),
        ]).attach(to: directory)
        let child = try Spawn.spawn(
            executable: "/bin/sh",
            arguments: ["sh", "-c", "echo $$ > \(directory)/cgroup.procs; exec 2>&-; \(use)"],
            environment: ["PATH=/bin:/usr/bin"])
        let ended = try child.waitBlocking()
        #expect((ended == .exited(0)) == isAllowed, "\(use): \(ended)")
    }

    /// A container's rules are there before its process.
    @Test(.enabled(if: isPossible, "needs root, cgroup2 and a kernel with BPF_CGROUP_DEVICE"))
    func theProcessOfAPlanNeverRunsWithoutThem() async throws {
        let scene = try LaunchScene()
        let (cgroup, directory) = try makeCgroup()
        defer { try? cgroup.delete() }
        let limit = scene.hostStep("limit the devices") {
            $0.limitDevices.directory = directory.string
            $0.limitDevices.instructions =
                DeviceProgram([
                    .init(allow: true, access: "rwm"), .init(allow: false, type: "c", major: 1, minor: 5, access: "r"),
                ]).bytes.data
        }
        var plan = scene.plan("head -c 1 /dev/null && head -c 1 /dev/zero", host: [limit])
        plan.steps[1].clone.cgroup = directory.string
        #expect(try await scene.run(plan).exitCode != 0)
        #expect(try scene.log().contains { $0.contains("/dev/zero: Operation not permitted") })
    }

    private func makeCgroup() throws -> (Cgroup, FilePath) {
        let hierarchy = try #require(try CgroupHost.detect().unified)
        let cgroup = Cgroup(
            host: CgroupHost(layout: .unified, hierarchies: [hierarchy]),
            path: "/berth-test-\(UInt32.random(in: 0...UInt32.max))")
        try cgroup.create()
        return (cgroup, try #require(cgroup.unifiedDirectory))
    }
}
