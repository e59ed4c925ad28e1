import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Engine

/// The systemd cgroup driver, where systemd runs (`hack/uml --systemd`, or a machine that it manages).
@Suite("Pods as slices", .serialized, .enabled(if: Files.exists("/run/systemd/system") && Syscall.effectiveUserID == 0))
struct SystemdDriverSerialTests {
    @Test func podIsASliceAndContainersAreScopesInIt() async throws {
        let fixture = try await EngineFixture(usesSystemd: true)
        let engine = fixture.engine
        let pod = try await engine.runPodSandbox(fixture.podConfig { $0.security.namespaces.pid = .pod })
        let slice = "\(fixture.mark)-\(pod).slice"
        #expect(try engine.podSandbox(pod).cgroup == "/\(fixture.mark).slice/\(slice)")
        let id = try await fixture.start("echo up; sleep 1000", in: pod)
        let scope = "cri-berth-\(id).scope"
        #expect(try await show(scope, "Slice") == slice)
        #expect(try await show(scope, "ActiveState") == "active")
        #expect(
            try await show("cri-berth-\(pod).scope", "ActiveState") == "active", "the init of the shared PID namespace")
        #expect(try await engine.execSync(["echo", "in"], in: id).stdout == Array("in\n".utf8))

        var limits = LinuxResources()
        limits.memoryLimit = 64 << 20
        try await engine.updateContainerResources(id, to: limits)
        let memory = [try await show(scope, "MemoryMax"), try await show(scope, "MemoryLimit")]
        #expect(memory.contains("\(64 << 20)"), "\(memory)")

        try await engine.stopContainer(id, grace: .zero)
        try await engine.removeContainer(id)
        #expect(try await show(scope, "ActiveState") == "inactive")
        try await engine.stopPodSandbox(pod)
        try await engine.removePodSandbox(pod)
        #expect(try await show(slice, "ActiveState") == "inactive")
        #expect(try !Cgroup(host: CgroupHost.detect(), path: "/\(fixture.mark).slice/\(slice)").exists)
        _ = try? await Command.run("/usr/bin/systemctl", ["stop", "\(fixture.mark).slice"])
    }

    /// What a program makes it does as the daemon's own driver has it.
    @Test func programsOfHandlersMakeTheSameScopes() async throws {
        let fixture = try await EngineFixture(usesSystemd: true) { $0.runtimes = ["runc": "/usr/sbin/runc"] }
        let engine = fixture.engine
        let pod = try await engine.runPodSandbox(fixture.podConfig(), runtimeHandler: "runc")
        let id = try await fixture.start("echo up; sleep 1000", in: pod)
        let scope = "cri-berth-\(id).scope"
        #expect(try await show(scope, "Slice") == "\(fixture.mark)-\(pod).slice")
        #expect(try await show(scope, "ActiveState") == "active")
        let process = try #require(try engine.container(id).process)
        let cgroup = try Cgroup(host: CgroupHost.detect(), path: engine.container(id).cgroup)
        #expect(try cgroup.pids().contains(process.pid))

        var limits = LinuxResources()
        limits.memoryLimit = 64 << 20
        try await engine.updateContainerResources(id, to: limits)
        #expect(try await show(scope, "MemoryMax") == "\(64 << 20)")
        try await engine.stopContainer(id, grace: .zero)
        try await engine.removeContainer(id)
        #expect(try await show(scope, "ActiveState") == "inactive")
        try await engine.stopPodSandbox(pod)
        try await engine.removePodSandbox(pod)
        _ = try? await Command.run("/usr/bin/systemctl", ["stop", "\(fixture.mark).slice"])
    }

    @Test func parentThatIsNoSliceIsRefused() async throws {
        let fixture = try await EngineFixture(usesSystemd: true)
        let error = await #expect(throws: BerthError.self) {
            try await fixture.engine.runPodSandbox(fixture.podConfig { $0.cgroupParent = "/kubepods/x" })
        }
        #expect(error?.message.contains("cgroup_parent") == true)
    }

    private func show(_ unit: String, _ property: String) async throws -> String {
        let line = try await Command.run("/usr/bin/systemctl", ["show", unit, "--property", property, "--value"])
        return line.split(separator: "\n").first.map(String.init) ?? ""
    }
}
