internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Fields of config.json, by what a process inside sees of them.
@Suite(.enabled(if: RuntimeScene.isPossible, "needs root, busybox-static and bin/berth-launch"))
struct ConfigurationRootTests {
    /// The output of `script` in a container.
    private func output(
        _ script: String, _ scene: RuntimeScene, _ change: (inout RuntimeSpec) throws -> Void = { _ in }
    ) throws -> String {
        var spec = try scene.specification(script)
        try change(&spec)
        #expect(try scene.run(spec) == .exited(0), "\(scene.output)")
        return scene.output
    }

    @Test(arguments: [(0, "/superuser"), (77, "/home/seven"), (78, "/")] as [(UInt32, String)])
    func homeIsThatOfTheContainersPasswd(_ uid: UInt32, _ home: String) throws {
        let scene = try RuntimeScene()
        try scene.scratch.file(
            "bundle/rootfs/etc/passwd", "x\nroot:x:0:0::/superuser:/bin/sh\nseven:x:77:1::/home/seven:/bin/sh\n")
        #expect(try output("echo $HOME", scene) { $0.process?.user = .init(uid: uid) } == home)
    }

    @Test func aPasswdThatIsAFIFOHoldsNobodyUp() throws {
        let scene = try RuntimeScene()
        try Syscall.mknodat(scene.bundle.pushing("rootfs/etc/passwd"), mode: 0o010644)
        #expect(try output("echo $HOME", scene) == "/")
    }

    private static let hasTimeNamespaces = Files.exists("/proc/self/ns/time")

    @Test(.enabled(if: hasTimeNamespaces)) func clocksAreOffset() throws {
        let scene = try RuntimeScene()
        let text = try output("cat /proc/self/timens_offsets; cat /proc/uptime", scene) {
            $0.linux?.namespaces?.append(.init(type: "time"))
            $0.linux?.timeOffsets = ["boottime": .init(secs: 1_000_000, nanosecs: 5)]
        }
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines[1] == ["boottime", "1000000", "5"])
        #expect(Double(lines[2][0]) ?? 0 > 1_000_000)
    }

    /// Its start time was read in the namespace's own clock, so that it was taken for a recycled PID.
    @Test(.enabled(if: hasTimeNamespaces)) func aContainerThatJoinsATimeNamespaceIsFoundAlive() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("while :; do sleep 0.05; done")
        spec.linux?.namespaces?.append(.init(type: "time"))
        spec.linux?.timeOffsets = ["boottime": .init(secs: 5000)]
        try scene.write(spec)
        let (first, process) = try scene.runtime.create(
            id: "first", bundle: scene.bundle, waiting: false, options: RunOptions())
        spec.linux?.timeOffsets = nil
        spec.linux?.cgroupsPath = "/\(scene.mark)/second"
        spec.linux?.namespaces?.removeLast()
        spec.linux?.namespaces?.append(.init(type: "time", path: "/proc/\(process.pid)/ns/time"))
        try scene.write(spec)
        let (second, _) = try scene.runtime.create(
            id: "second", bundle: scene.bundle, waiting: false, options: RunOptions())
        #expect(second.status() == .running)
        try scene.runtime.delete(second, force: true)
        try scene.runtime.delete(first, force: true)
    }

    /// As PID 1 of its namespace it ignored whatever ends a process by default.
    @Test func aCreatedContainerIsEndedBySIGTERM() throws {
        let scene = try RuntimeScene()
        try scene.write(scene.specification("true"))
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        try scene.runtime.kill(container, signal: 15, all: false)
        #expect(try scene.wait(process) == .exited(143))
        #expect(container.status() == .stopped)
        try scene.runtime.delete(container, force: false)
    }

    /// Hooks of the container are under its filter, and so is nothing that stands before them.
    @Test func startContainerHooksAreFiltered() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("true")
        spec.process?.noNewPrivileges = true
        spec.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
        spec.linux?.seccomp?.syscalls = [.init(names: ["mkdir", "mkdirat"], action: "SCMP_ACT_KILL_PROCESS")]
        spec.hooks = .init()
        spec.hooks?.startContainer = [
            .init(path: "/bin/busybox", args: ["sh", "-c", "ulimit -c 0; exec /bin/busybox mkdir /tmp/x"])
        ]
        let error = #expect(throws: BerthError.self) { try scene.run(spec) }
        #expect(error?.message.contains("bad system call") == true, "\(error?.message ?? "")")
    }

    /// A filter that is older than close_range, faccessat2 and openat2 does not keep the set-up from its end.
    @Test func aFilterThatKnowsFewCallsIsNoReasonToFail() throws {
        let scene = try RuntimeScene()
        for noNewPrivileges in [false, true] {
            let text = try output("echo ran", scene) {
                $0.process?.noNewPrivileges = noNewPrivileges
                $0.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
                $0.linux?.seccomp?.syscalls = [
                    .init(names: ["close_range", "faccessat2", "openat2", "statx", "clone3"], action: "SCMP_ACT_ERRNO")
                ]
            }
            #expect(text == "ran")
        }
    }

    @Test func aReadOnlyDevStillGetsItsConsole() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("touch /dev/x || echo refused; test -c /dev/console && echo console")
        spec.process?.terminal = true
        spec.mounts = spec.mounts?.map { mount in
            var mount = mount
            if mount.destination == "/dev" { mount.options?.append("ro") }
            return mount
        }
        try scene.write(spec)
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: false, options: RunOptions())
        #expect(try scene.wait(process) == .exited(0))
        #expect(scene.output.hasSuffix("refused\nconsole"), "\(scene.output)")
        try scene.runtime.delete(container, force: true)
    }

    @Test func aTmpfsKeepsTheModeOfTheDirectoryThatItCovers() throws {
        let scene = try RuntimeScene()
        _ = try scene.scratch.directory("bundle/rootfs/data")
        try Syscall.fchmodat(scene.bundle.pushing("rootfs/data"), mode: 0o3710)
        let text = try output("stat -c %a /data /new /own", scene) {
            $0.mounts?.append(.init(destination: "/data", type: "tmpfs", source: "tmpfs", options: ["nosuid"]))
            $0.mounts?.append(.init(destination: "/new", type: "tmpfs", source: "tmpfs"))
            $0.mounts?.append(.init(destination: "/own", type: "tmpfs", source: "tmpfs", options: ["mode=0500"]))
        }
        #expect(text == "3710\n1777\n500")
    }

    @Test func mountpointsAreMadeThroughDanglingLinksInsideTheRoot() throws {
        let scene = try RuntimeScene()
        try Syscall.symlinkat(target: "/tmp/deep/hosts", scene.bundle.pushing("rootfs/etc/hosts"))
        try Syscall.symlinkat(target: "../../../../tmp/up", scene.bundle.pushing("rootfs/etc/folder"))
        try Syscall.symlinkat(target: "loop", scene.bundle.pushing("rootfs/etc/loop"))
        try scene.scratch.file("bundle/hosts", "127.0.0.1 me\n")
        let text = try output("cat /tmp/deep/hosts; ls /tmp/up/inner", scene) {
            $0.mounts?.append(.init(destination: "/etc/hosts", type: "bind", source: "hosts", options: ["bind"]))
            $0.mounts?.append(.init(destination: "/etc/folder/inner", type: "tmpfs", source: "tmpfs"))
        }
        #expect(text == "127.0.0.1 me")
        #expect(!Files.exists("/tmp/up") && !Files.exists("/tmp/deep"))
        var spec = try scene.specification("true")
        spec.mounts?.append(.init(destination: "/etc/loop/x", type: "tmpfs", source: "tmpfs"))
        #expect(throws: BerthError.self) { try scene.run(spec) }
    }

    /// In a user namespace the child may not look into the source's parents, and a source may be a mount of the container.
    @Test(arguments: [false, true])
    func bindsAreMadeInOrderWithTheHostsRights(_ inUserNamespace: Bool) throws {
        let scene = try RuntimeScene()
        for (path, text) in [("src/a/file", "a"), ("src/b/file", "b")] {
            try scene.scratch.file("bundle/\(path)", text)
        }
        try Syscall.fchmodat(scene.bundle.appending("src"), mode: 0o700)
        for path in [
            scene.scratch.path, scene.bundle, scene.bundle.appending("rootfs"), scene.bundle.pushing("rootfs/bin"),
        ] {
            try Syscall.fchmodat(path, mode: 0o755)
        }
        let text = try output("cat /one/file /two/file /all/file /all/inner/file", scene) {
            if inUserNamespace {
                $0.linux?.namespaces?.append(.init(type: "user"))
                let mappings: [RuntimeSpec.IDMapping] = [
                    .init(containerID: 0, hostID: 0, size: 1), .init(containerID: 1, hostID: 100_000, size: 1000),
                ]
                $0.linux?.uidMappings = mappings
                $0.linux?.gidMappings = mappings
            }
            $0.mounts?.append(.init(destination: "/one", type: "bind", source: "src/a", options: ["bind"]))
            $0.mounts?.append(.init(destination: "/two", type: "bind", source: "src/b", options: ["bind"]))
            $0.mounts?.append(.init(destination: "/all", type: "tmpfs", source: "tmpfs"))
            let rootfs = scene.bundle.appending("rootfs").string
            $0.mounts?.append(
                .init(destination: "\(rootfs)/all", type: "bind", source: "\(rootfs)/one", options: ["rbind"]))
            $0.mounts?.append(
                .init(destination: "/two/inner", type: "bind", source: "\(rootfs)/two", options: ["rbind"]))
            $0.mounts?.append(
                .init(destination: "/all", type: "bind", source: "\(rootfs)/two", options: ["rbind"]))
        }
        #expect(text == "abbb")
    }

    @Test func aSharedRootIsPivotedIntoAndShared() throws {
        let scene = try RuntimeScene()
        let text = try output("grep ' / / ' /proc/self/mountinfo || grep ' / ' /proc/self/mountinfo", scene) {
            $0.linux?.rootfsPropagation = "shared"
        }
        #expect(text.contains("shared:"), "\(text)")
    }

    /// Entering the root made every mount of the container a slave, and could unmount the host's where the root was shared.
    @Test func sharedMountsStayShared() throws {
        let scene = try RuntimeScene()
        _ = try scene.scratch.directory("bundle/data")
        let before = try MountTable.read().map(\.target)
        let text = try output("grep ' /data ' /proc/self/mountinfo", scene) {
            $0.linux?.rootfsPropagation = "rshared"
            $0.mounts?.append(.init(destination: "/data", type: "bind", source: "data", options: ["bind", "rshared"]))
        }
        #expect(text.contains("shared:"), "\(text)")
        #expect(try MountTable.read().map(\.target) == before)
    }

    @Test func createContainerHooksRunInTheRootAndStartHooksWithTheProcessesEnvironment() throws {
        let scene = try RuntimeScene()
        let text = try output("cat /made; cat /env", scene) {
            $0.process?.env = ["PATH=/bin", "ONE=two"]
            $0.hooks = .init()
            $0.hooks?.createContainer = [.init(path: "/bin/sh", args: ["sh", "-c", "echo here > ./made"])]
            $0.hooks?.startContainer = [.init(path: "/bin/sh", args: ["sh", "-c", "echo $ONE $HOME > /env"])]
        }
        #expect(text == "here\ntwo /")
    }

    @Test func aFailingHookIsNamedByItsKindAndNumber() throws {
        let scene = try RuntimeScene()
        for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
            var spec = try scene.specification("sleep 1")
            let hooks: [RuntimeSpec.Hook] = [
                .init(path: "/bin/true"), .init(path: "/bin/sh", args: ["sh", "-c", "exit 3"]),
            ]
            spec.hooks = .init()
            switch kind {
            case "prestart": spec.hooks?.prestart = hooks
            case "createRuntime": spec.hooks?.createRuntime = hooks
            case "createContainer": spec.hooks?.createContainer = hooks
            case "startContainer": spec.hooks?.startContainer = hooks
            default: spec.hooks?.poststart = hooks
            }
            try scene.write(spec)
            let error = #expect(throws: BerthError.self) {
                let (container, _) = try scene.runtime.create(
                    id: "box", bundle: scene.bundle, waiting: false, options: RunOptions())
                defer { try? scene.runtime.delete(container, force: true) }
                try scene.runtime.runPoststartHooks(container)
            }
            #expect(
                error?.message.contains("error running \(kind) hook #1: /bin/sh") == true, "\(error?.message ?? "")")
        }
    }

    @Test func withoutAMountNamespaceNothingStaysMounted() throws {
        let scene = try RuntimeScene()
        let before = try MountTable.read().count
        let text = try output("cat /mnt/x; ls /proc | grep self", scene) {
            let others = $0.linux?.namespaces?.filter { $0.type != "mount" }
            $0.linux?.namespaces = others
            $0.linux?.maskedPaths = nil
            $0.linux?.readonlyPaths = nil
            try scene.scratch.file("bundle/data/x", "hello\n")
            $0.mounts?.append(.init(destination: "/mnt", type: "bind", source: "data", options: ["bind"]))
        }
        #expect(text.hasPrefix("hello\nself"))
        #expect(try MountTable.read().count == before)
    }

    @Test func aNetworkDeviceGoesInWithItsAddressesAndItsNewName() async throws {
        let scene = try RuntimeScene()
        let name = "bt" + scene.mark.filter { $0.isNumber || $0.isLetter }.suffix(8)
        try await Command.run("ip", ["link", "add", name, "type", "veth", "peer", "name", name + "p"])
        try await Command.run("ip", ["address", "add", "192.0.2.7/24", "dev", name])
        try await Command.run("ip", ["link", "set", name, "mtu", "1400"])
        let text = try output("busybox ip address show dev inner", scene) {
            $0.linux?.netDevices = [name: .init(name: "inner")]
        }
        #expect(text.contains("192.0.2.7/24"), "\(text)")
        #expect(text.contains("mtu 1400"))
        #expect(text.contains("UP"))
    }

    @Test func unknownCapabilitiesAreToldAndLeftOut() throws {
        let scene = try RuntimeScene()
        let text = try output("grep CapBnd /proc/self/status", scene) {
            $0.process?.capabilities = .init()
            $0.process?.capabilities?.bounding = ["CAP_MAGIC", "CAP_KILL"]
        }
        #expect(text.hasSuffix("0000000000000020"), "\(text)")
    }

    /// Sysfs is one for all containers of a network namespace; that the first has it read-only is no matter of the second.
    @Test func sysIsAsEachContainerOfAPodHasIt() throws {
        let scene = try RuntimeScene()
        let network = scene.scratch.appending("network")
        let request = SandboxPlanRequest(id: scene.mark, pins: [("network", network)])
        _ = try scene.launch(try PlanCompiler(facts: HostFacts.detect()).compileSandbox(request))
        defer { try? Syscall.umount2(network, .detach) }
        func specification(_ access: String) throws -> RuntimeSpec {
            var spec = try scene.specification("echo box > /sys/class/net/lo/ifalias && echo written")
            spec.linux?.namespaces?.removeAll { $0.type == "network" }
            spec.linux?.namespaces?.append(.init(type: "network", path: network.string))
            spec.linux?.cgroupsPath = "/\(scene.mark)/\(access)"
            spec.process?.capabilities = DefaultProfile.capabilitySets(["CAP_NET_ADMIN"])
            for index in spec.mounts?.indices ?? 0..<0 where spec.mounts?[index].destination == "/sys" {
                spec.mounts?[index].options = [access]
            }
            return spec
        }
        try scene.write(specification("ro"))
        let (first, process) = try scene.runtime.create(
            id: "first", bundle: scene.bundle, waiting: true, options: RunOptions())
        #expect(try scene.run(specification("rw"), id: "second") == .exited(0), "\(scene.output)")
        try scene.runtime.start(first)
        #expect(try scene.wait(process) == .exited(1))
        try scene.runtime.delete(first, force: true)
    }
}
