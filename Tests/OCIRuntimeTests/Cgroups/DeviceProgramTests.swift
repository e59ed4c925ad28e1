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
        let host = try CgroupHost.detect()
        let hierarchy = try #require(host.unified)
        let cgroup = Cgroup(
            host: CgroupHost(layout: .unified, hierarchies: [hierarchy]),
            path: "/berth-test-\(UInt32.random(in: 0...UInt32.max))")
        try cgroup.create()
        defer { try? cgroup.delete() }
        let directory = try #require(cgroup.unifiedDirectory)
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
}
