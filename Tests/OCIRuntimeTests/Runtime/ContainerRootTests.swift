internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Compiled plans, carried out for real.
@Suite(.enabled(if: RuntimeScene.isPossible, "needs root, busybox-static and bin/berth-launch"))
struct ContainerRootTests {
    @Test func aContainerIsIsolatedAndItsStatusIsItsOwn() throws {
        let scene = try RuntimeScene()
        let before = try scene.snapshot()
        let spec = try scene.specification(
            "echo $$; hostname; id -u; ls /proc/self/fd | wc -l; cat /proc/1/comm; exit 42")
        #expect(try scene.run(spec) == .exited(42))
        let lines = scene.output.split(separator: "\n").map(String.init)
        #expect(lines[0] == "1")
        #expect(lines[1] == "scene")
        #expect(lines[2] == "0")
        #expect(lines.last == "sh")
        let added = try scene.snapshot().added(since: before)
        #expect(
            added.allSatisfy {
                $0.hasSuffix("/bundle/config.json") || $0.contains("/bundle/out") || $0.contains("/\(scene.mark)")
            })
    }

    @Test func nothingOfTheLauncherIsOpenInTheContainer() throws {
        let scene = try RuntimeScene()
        #expect(try scene.run(scene.specification("ls -l /proc/self/fd")) == .exited(0))
        let text = scene.output
        #expect(!text.contains("berth"), "\(text)")
        #expect(!text.contains("memfd"), "\(text)")
        #expect(!text.contains("socket"), "\(text)")
    }

    @Test func theLifecycleGoesByItsStates() throws {
        let scene = try RuntimeScene()
        try scene.write(scene.specification("echo started; trap 'exit 3' TERM; while :; do sleep 0.05; done"))
        let (_, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        let container = try scene.runtime.container("box")
        #expect(container.status() == .created)
        #expect(scene.output == "")
        #expect(throws: BerthError.self) {
            try scene.runtime.create(id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        }
        try scene.runtime.start(container)
        #expect(container.status() == .running)
        #expect(throws: BerthError.self) { try scene.runtime.start(container) }
        #expect(throws: BerthError.self) { try scene.runtime.delete(container, force: false) }
        try scene.runtime.pause(container)
        #expect(container.status() == .paused)
        try scene.runtime.resume(container)
        #expect(container.status() == .running)
        let pidfd = try Syscall.pidfdOpen(process.pid)
        for _ in 0..<100 where scene.output.isEmpty { _ = try Syscall.poll([(pidfd.fd, events: 1)], timeout: 20) }
        try scene.runtime.kill(container, signal: 15, all: false)
        #expect(try scene.wait(process) == .exited(3))
        #expect(container.status() == .stopped)
        #expect(throws: BerthError.self) { try scene.runtime.kill(container, signal: 15, all: false) }
        try scene.runtime.delete(container, force: false)
        #expect(throws: BerthError.self) { try scene.runtime.container("box") }
    }

    @Test func execRunsInsideWithItsOwnUserAndStatus() throws {
        let scene = try RuntimeScene()
        try scene.write(scene.specification("while :; do sleep 0.05; done"))
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: false, options: RunOptions())
        let launched = try scene.runtime.exec(container, ignorePaused: false, options: RunOptions()) { original in
            var process = original
            process.args = ["/bin/sh", "-c", "{ id -u; hostname; cat /proc/self/cgroup; echo $X; } > /out; exit 9"]
            process.user = .init(uid: 1234, gid: 5)
            process.env = (process.env ?? []) + ["X=y"]
            return process
        }
        #expect(try scene.wait(launched) == .exited(9))
        let text = scene.output
        #expect(text.hasPrefix("1234\nscene\n"))
        #expect(text.hasSuffix("y"))
        // Every line of the cgroup namespace's own root.
        #expect(text.split(separator: "\n").filter { $0.contains(":") }.allSatisfy { $0.hasSuffix(":/") }, "\(text)")
        let refused = #expect(throws: BerthError.self) {
            try scene.runtime.exec(container, ignorePaused: false, options: RunOptions()) { original in
                var process = original
                process.args = ["/no/such/program"]
                return process
            }
        }
        #expect(refused?.message.contains("no such file or directory") == true, "\(refused?.message ?? "")")
        try scene.runtime.kill(container, signal: 9, all: true)
        #expect(try scene.wait(process) == .signalled(9))
        try scene.runtime.delete(container, force: false)
    }

    @Test func mountsAndPathsAreAsConfigured() throws {
        let scene = try RuntimeScene()
        try scene.file("data/file", "host")
        var spec = try scene.specification(
            """
            cat /data/file; touch /data/x || echo ro-data; touch /x || echo ro-root; touch /tmp/x && echo rw-tmp
            cat /tmp/kept; stat -c 'mode %a' /tmp; cat /proc/kcore | wc -c; echo 1 > /proc/sys/kernel/shmmax || echo ro-sys
            grep ' /data ' /proc/self/mountinfo; ls -l /dev/null /dev/fd; stat -c %a /sub/dir/file
            """)
        spec.root?.readonly = true
        try scene.file("bundle/rootfs/tmp/kept", "kept\n")
        spec.mounts?.append(
            .init(
                destination: "/data", type: "bind", source: scene.scratch.appending("data").string,
                options: ["rbind", "ro", "nosuid", "rprivate"]))
        spec.mounts?.append(
            .init(
                destination: "/sub/dir/file", type: "bind", source: scene.scratch.path.pushing("data/file").string,
                options: ["bind"]))
        spec.mounts?.append(
            .init(destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "nodev", "mode=700"]))
        #expect(try scene.run(spec) == .exited(0))
        let text = scene.output
        #expect(text.contains("host"))
        #expect(text.contains("ro-data"))
        #expect(text.contains("ro-root"))
        #expect(text.contains("rw-tmp"))
        #expect(text.contains("kept\nmode 700"), "\(text)")
        #expect(text.contains("ro-sys"))
        #expect(text.contains("ro,nosuid"), "\(text)")
        #expect(text.contains("1,   3") || text.contains("1, 3"), "\(text)")
        #expect(text.contains("/dev/fd -> /proc/self/fd"))
    }

    @Test func theProcessHasItsUserLimitsAndCapabilities() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification(
            "id; umask; ulimit -n; grep -E 'CapBnd|CapEff|NoNewPrivs|Seccomp:' /proc/self/status; pwd; cat /proc/self/oom_score_adj"
        )
        spec.process?.user = .init(uid: 1000, gid: 1001, umask: 0o27, additionalGids: [7, 8])
        spec.process?.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 99, hard: 100)]
        spec.process?.noNewPrivileges = true
        spec.process?.cwd = "/made/by/runtime"
        spec.process?.oomScoreAdj = 321
        spec.linux?.seccomp = DefaultProfile.seccomp()
        #expect(try scene.run(spec) == .exited(0))
        let text = scene.output
        #expect(
            text.contains("uid=1000 gid=1001 groups=1001,7,8") || text.contains("uid=1000 gid=1001 groups=7,8"),
            "\(text)")
        #expect(text.contains("0027"))
        #expect(text.contains("\n99\n"))
        #expect(text.contains("CapEff:\t0000000000000000"))
        #expect(text.contains("CapBnd:\t00000000a80425fb"))
        #expect(text.contains("NoNewPrivs:\t1"))
        #expect(text.contains("Seccomp:\t2"))
        #expect(text.contains("/made/by/runtime"))
        #expect(text.hasSuffix("321"))
    }

    @Test func limitsHold() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("while :; do sleep 0.05; done")
        var resources = RuntimeSpec.Linux.Resources()
        resources.memory = .init()
        resources.memory?.limit = 32 << 20
        resources.pids = .init(limit: 20)
        resources.cpu = .init()
        resources.cpu?.quota = 50_000
        resources.cpu?.period = 100_000
        resources.devices = DefaultProfile.deviceRules
        spec.linux?.resources = resources
        try scene.write(spec)
        let (container, _) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: false, options: RunOptions())
        var statistics = try container.cgroup.statistics()
        #expect(statistics.memory.limit == 32 << 20)
        #expect(statistics.pidsLimit == 20)
        #expect(statistics.pids >= 1)
        resources.devices = nil
        resources.memory?.limit = 64 << 20
        resources.pids = .init(limit: 30)
        try container.cgroup.update(resources)
        statistics = try container.cgroup.statistics()
        #expect(statistics.memory.limit == 64 << 20)
        #expect(statistics.pidsLimit == 30)
        let launched = try scene.runtime.exec(container, ignorePaused: false, options: RunOptions()) { original in
            var process = original
            // 1:1 is /dev/mem: the node can be made, and not opened.
            process.args = [
                "/bin/sh", "-c", "busybox mknod /dev/m c 1 1; cat /dev/m > /out 2>&1 && exit 0; cat /dev/null",
            ]
            return process
        }
        _ = try scene.wait(launched)
        #expect(scene.output.contains("Operation not permitted"))
        try scene.runtime.delete(container, force: true)
    }

    @Test func aUserNamespaceMapsRootAway() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification(
            "id -u; cat /proc/self/uid_map; echo x > /tmp/mine; echo ok > /dev/null && echo null")
        spec.linux?.namespaces?.append(.init(type: "user"))
        spec.linux?.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        spec.linux?.gidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        try Syscall.fchmodat(scene.bundle.pushing("rootfs/tmp"), mode: 0o1777)
        for path in [scene.scratch.path, scene.bundle] { try Syscall.fchmodat(path, mode: 0o755) }
        try Syscall.fchownat(scene.bundle.pushing("rootfs"), uid: 100_000, gid: 100_000)
        #expect(try scene.run(spec) == .exited(0))
        #expect(scene.output.contains("0     100000      65536"))
        #expect(scene.output.contains("null"))
        #expect(try Syscall.stat(scene.bundle.pushing("rootfs/tmp/mine")).uid == 100_000)
    }

    @Test func aPodsNamespacesAreJoined() throws {
        let scene = try RuntimeScene()
        let folder = try scene.scratch.directory("ns")
        var request = SandboxPlanRequest(
            id: scene.mark,
            pins: ["network", "ipc", "uts"].map { ($0, folder.appending($0)) })
        request.hostname = "pod"
        request.sysctls = ["net.ipv4.ip_unprivileged_port_start": "77"]
        let plan = try PlanCompiler(facts: HostFacts.detect()).compileSandbox(request)
        _ = try scene.launch(plan)
        defer { for name in ["network", "ipc", "uts"] { try? Syscall.umount2(folder.appending(name), .detach) } }

        var spec = try scene.specification(
            "hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /sys/class/net/lo/operstate")
        spec.hostname = nil
        spec.linux?.namespaces =
            [.init(type: "mount"), .init(type: "pid"), .init(type: "cgroup")]
            + ["network", "ipc", "uts"].map { .init(type: $0, path: folder.appending($0).string) }
        #expect(try scene.run(spec) == .exited(0))
        let lines = scene.output.split(separator: "\n").map(String.init)
        #expect(lines.prefix(2) == ["pod", "77"], "\(lines)")
        #expect(lines.last != "down")
    }

    /// With a network namespace of its own, or the host's right to which the user namespace has none.
    @Test(arguments: [true, false])
    func aPodsUserNamespaceIsJoined(_ ownsNetwork: Bool) throws {
        let scene = try RuntimeScene()
        let folder = try scene.scratch.directory("ns")
        let owned = ["user", "ipc", "uts"] + (ownsNetwork ? ["network"] : [])
        var request = SandboxPlanRequest(id: scene.mark, pins: owned.map { ($0, folder.appending($0)) })
        request.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        request.gidMappings = request.uidMappings
        let compiler = PlanCompiler(facts: try HostFacts.detect())
        _ = try scene.launch(try compiler.compileSandbox(request))
        defer { for name in owned { try? Syscall.umount2(folder.appending(name), .detach) } }
        if !ownsNetwork {
            let other = SandboxPlanRequest(id: scene.mark, pins: [("network", folder.appending("network"))])
            _ = try scene.launch(try compiler.compileSandbox(other))
        }
        defer { try? Syscall.umount2(folder.appending("network"), .detach) }

        var spec = try scene.specification(
            "id -u; cat /proc/self/uid_map; echo 1 > /dev/null && echo null; stat -L -c %i /proc/self/ns/net")
        spec.hostname = nil
        // Sysfs is of whoever owns the network namespace.
        if !ownsNetwork { spec.mounts?.removeAll { $0.destination == "/sys" } }
        spec.linux?.namespaces =
            [.init(type: "mount"), .init(type: "pid"), .init(type: "cgroup")]
            + ["user", "network", "ipc", "uts"].map { .init(type: $0, path: folder.appending($0).string) }
        let map = scene.scratch.appending("map")
        let hook = try scene.scratch.file(
            "hook", "#!/bin/sh\nexec /bin/cat /proc/self/uid_map > \(map)\n", mode: 0o755)
        spec.hooks = .init()
        spec.hooks?.createRuntime = [.init(path: hook.string)]
        for path in [scene.scratch.path, scene.bundle] { try Syscall.fchmodat(path, mode: 0o755) }
        try Syscall.fchownat(scene.bundle.pushing("rootfs"), uid: 100_000, gid: 100_000)
        #expect(try scene.run(spec) == .exited(0))
        #expect(scene.output.contains("100000"))
        #expect(scene.output.contains("null"))
        #expect(scene.output.hasSuffix("\(try Syscall.stat(folder.appending("network")).inode)"))
        #expect(try !Files.readText(map).contains("100000"), "the runtime is in the container's user namespace")
    }

    @Test func anOverlayIsSeenByTheContainerAlone() throws {
        let scene = try RuntimeScene()
        let lower = scene.bundle.appending("rootfs")
        let parts = try ["upper", "work", "merged"].map { try scene.scratch.directory($0) }
        try scene.write(scene.specification("touch /made; ls /"))
        let facts = try HostFacts.detect()
        var options = CompileOptions(id: scene.mark, bundle: scene.bundle)
        options.rootfs = parts[2]
        options.overlay = OverlayRoot(lower: [lower], upper: parts[0], work: parts[1])
        options.sibling = true
        let spec = try ContainerRuntime.readSpecification(scene.bundle.appending("config.json"))
        let process = try scene.launch(try PlanCompiler(facts: facts).compile(spec, options: options))
        #expect(try scene.wait(process) == .exited(0))
        #expect(Files.exists(parts[0].appending("made")))
        #expect(try Files.list(parts[2]).isEmpty)
        let cgroup = try ContainerCgroup(host: facts.cgroups, path: spec.linux?.cgroupsPath, id: scene.mark)
        try cgroup.delete()
    }

    @Test func hooksRunInTheirPlacesWithTheState() throws {
        let scene = try RuntimeScene()
        let log = scene.scratch.appending("hooks.log")
        func hook(_ name: String) throws -> RuntimeSpec.Hook {
            let script = try scene.scratch.file(
                name, "#!/bin/sh\n{ echo \"\(name) $(readlink /proc/self/ns/uts)\"; cat; echo; } >> \(log)\n",
                mode: 0o755)
            return .init(path: script.string, env: ["PATH=/bin:/usr/bin"], timeout: 10)
        }
        var spec = try scene.specification("true")
        spec.annotations = ["a": "b"]
        spec.hooks = .init()
        spec.hooks?.prestart = [try hook("prestart")]
        spec.hooks?.createRuntime = [try hook("createRuntime")]
        spec.hooks?.createContainer = [try hook("createContainer")]
        spec.hooks?.poststart = [try hook("poststart")]
        spec.hooks?.poststop = [try hook("poststop")]
        try scene.write(spec)
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        try scene.runtime.start(container)
        _ = try scene.wait(process)
        try scene.runtime.delete(container, force: false)
        let text = try Files.readText(log)
        let names = text.split(separator: "\n").filter { $0.contains("uts:[") }.map { $0.split(separator: " ") }
        #expect(names.map(\.[0]) == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
        #expect(names[0][1] == names[1][1])
        #expect(names[2][1] != names[1][1], "createContainer hooks run in the container's namespaces")
        #expect(text.contains("\"pid\":\(process.pid)"))
        #expect(text.contains("\"annotations\":{\"a\":\"b\"}"))
        #expect(text.contains("\"status\":\"stopped\""))
    }

    /// A program may end before its hooks run.
    @Test func poststartHooksHearOfARunningContainer() throws {
        let scene = try RuntimeScene()
        let log = scene.scratch.appending("hooks.log")
        let script = try scene.scratch.file("hook", "#!/bin/sh\ncat > \(log)\n", mode: 0o755)
        var spec = try scene.specification("true")
        spec.hooks = .init()
        spec.hooks?.poststart = [.init(path: script.string, env: ["PATH=/bin:/usr/bin"])]
        try scene.write(spec)
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: false, options: RunOptions())
        _ = try scene.wait(process)
        try scene.runtime.runPoststartHooks(container)
        let state = try StrictJSON.decode(
            ContainerState.self, from: Files.read(log, limit: 1 << 16), what: "the hook's state")
        #expect(state.status == .running && state.pid == process.pid)
        try scene.runtime.delete(container, force: false)
    }
}

extension RuntimeScene {
    func file(_ name: String, _ text: String) throws {
        try scratch.file(name, text)
    }

    func launch(_ plan: Berth_Launch_V1_Plan) throws -> LaunchedProcess {
        try Self.ownLauncher.launchBlocking(plan)
    }
}
