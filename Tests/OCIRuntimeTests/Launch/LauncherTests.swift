internal import Core
internal import Glibc
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct LauncherTests {
    @Test func `a failure names the step in its own words`() {
        let failure = Berth_Launch_V1_Failure.with {
            $0.step = 14
            $0.steps = 41
            $0.words = "mount proc at /proc"
            $0.path = "/proc"
            $0.error = 1
        }
        let error = BerthError(launchFailure: failure)
        #expect(error.description == "mount proc at /proc: operation not permitted (step 14 of 41)")
        #expect(error.code == .permissionDenied)
    }

    @Test func `a failure without an errno says what happened`() {
        let failure = Berth_Launch_V1_Failure.with {
            $0.words = "hook"
            $0.path = "/bin/hook"
            $0.detail = "exited with status 1: broken"
        }
        #expect(BerthError(launchFailure: failure).description == "hook: /bin/hook: exited with status 1: broken")
    }

    @Test func `a launcher that is nowhere is told with the places`() {
        #expect(throws: BerthError.self) { try Launcher.locate(beside: "/nonexistent/bin/berthd") }
        #expect(throws: BerthError.self) { try Launcher.locate(configured: "/nonexistent/berth-launch") }
    }

    @Test(.enabled(if: geteuid() == 0)) func `a container runs, and its exit code and output are kept`() async throws {
        let scene = try LaunchScene()
        let record = try await scene.run(scene.plan("echo out; echo err >&2; printf tail; exit 7"))
        #expect(record.exitCode == 7)
        #expect(record.signal == 0)
        #expect(record.oomKilled == false)
        #expect(record.id == scene.id)
        #expect(record.startedAt > 0 && record.finishedAt >= record.startedAt)
        let log = try scene.log()
        #expect(log.filter { $0.hasPrefix("stdout") } == ["stdout F out", "stdout P tail"])
        #expect(log.filter { $0.hasPrefix("stderr") } == ["stderr F err"])
        #expect(!Files.exists(scene.socket))
    }

    @Test(.enabled(if: geteuid() == 0)) func `a missing program fails the launch and not the start`() async throws {
        let scene = try LaunchScene()
        let error = await #expect(throws: BerthError.self) {
            _ = try await scene.launcher.launch(scene.plan("", program: "no-such-program"))
        }
        #expect(error?.code == .notFound)
        #expect(
            error?.description.contains("exec no-such-program: executable file not found in $PATH: no such file")
                == true)
    }

    @Test(.enabled(if: geteuid() == 0)) func `a failing step leaves nothing behind`() async throws {
        let scene = try LaunchScene()
        let cgroup = FilePath("/sys/fs/cgroup").appending(Files.exists("/sys/fs/cgroup/memory") ? "memory" : "")
            .appending("berth-test-\(scene.id)")
        let pin = scene.scratch.path.appending("net")
        let before = try HostSnapshot(of: scene.scratch.path, mark: scene.id)
        var plan = scene.plan(
            "true",
            host: [scene.hostStep("make cgroup") { $0.makeDirectory.path = cgroup.appending("a/b").string }],
            afterClone: [
                scene.hostStep("join cgroup") { $0.joinCgroup.directory = cgroup.appending("a/b").string },
                scene.hostStep("pin net") {
                    $0.pinNamespace.type = 0x4000_0000
                    $0.pinNamespace.path = pin.string
                },
            ])
        let at = try #require(plan.steps.firstIndex { $0.words == "pivot" })
        plan.steps.insert(
            scene.childStep("mount nofs at /tmp") {
                $0.mount.type = "nofs"
                $0.mount.target = "/tmp"
            }, at: at)
        let error = await #expect(throws: BerthError.self) { _ = try await scene.launcher.launch(plan) }
        #expect(error?.description.contains("mount nofs at /tmp: filesystem type \"nofs\"") == true)
        #expect(error?.description.hasSuffix("(step \(at + 1) of \(plan.steps.count))") == true)
        // The launcher itself ends after its report.
        try await Task.sleep(for: .milliseconds(100))
        #expect(try HostSnapshot(of: scene.scratch.path, mark: scene.id).added(since: before) == [])
    }

    @Test(.enabled(if: geteuid() == 0)) func `without a monitor the caller reaps, and a FIFO starts the container`()
        throws
    {
        let scene = try LaunchScene()
        let fifo = scene.scratch.path.appending("exec.fifo")
        #expect(mkfifo(fifo.string, 0o622) == 0)
        var plan = scene.plan("exit 9")
        plan.clearMonitor()
        plan.clearStdio()
        for index in plan.steps.indices {
            if case .clone = plan.steps[index].action { plan.steps[index].clone.sibling = true }
            if case .waitForStart = plan.steps[index].action { plan.steps[index].waitForStart.fifo = fifo.string }
        }
        let launched = try scene.launcher.launchBlocking(plan)
        #expect(launched.monitorPID == 0)
        #expect(launched.startTime > 0)
        // One byte, then the end: exec succeeded.
        #expect(try Files.read(fifo, limit: 4096) == Array("0".utf8))
        var status: Int32 = 0
        #expect(waitpid(launched.pid, &status, 0x4000_0000) == launched.pid)
        #expect((status >> 8) & 0xff == 9)
    }

    @Test(.enabled(if: geteuid() == 0)) func `an OOM kill is in the exit record`() async throws {
        let scene = try LaunchScene()
        let legacy = Files.exists("/sys/fs/cgroup/memory")
        let cgroup = FilePath("/sys/fs/cgroup").appending(legacy ? "memory" : "").appending("berth-test-\(scene.id)")
        try Files.makeDirectories(cgroup)
        defer { rmdir(cgroup.string) }
        let limit = legacy ? "memory.limit_in_bytes" : "memory.max"
        var plan = scene.plan(
            "head -c 100m /dev/zero | tail",
            host: [
                scene.hostStep("limit memory") {
                    $0.writeFile.path = cgroup.appending(limit).string
                    $0.writeFile.value = .init("16777216".utf8)
                }
            ],
            afterClone: [scene.hostStep("join cgroup") { $0.joinCgroup.directory = cgroup.string }])
        plan.monitor.oomPath = cgroup.appending(legacy ? "memory.oom_control" : "memory.events").string
        let record = try await scene.run(plan)
        #expect(record.oomKilled)
        #expect(record.exitCode == 137)
    }
}
