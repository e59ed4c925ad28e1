internal import CRIAPI
internal import Core
internal import GRPCCore
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The daemon dies at every step of every lifecycle call. The next one knows the truth, the call is repeated as a kubelet
/// repeats it, and in the end nothing is left over.
@Suite("Death at every step of a pod's life", .serialized) struct LifecycleKillTests {
    @Test func whateverItWasDoingTheRetrySucceedsAndNothingIsLeft() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("mortal") {
                $0.portMappings = [
                    .with {
                        $0.hostPort = 31234
                        $0.containerPort = 80
                    }
                ]
            }
            let life = try await MortalLife(daemon, pod: config)
            try await life.each(
                ["pod.stop.", "pod.dismantle.", "pod.remove.", "network.clear."], "RemovePodSandbox",
                { try await daemon.runPod(config) }, daemon.removePod)
            try await life.expectNothing("removals of the pod")

            let pod = try await life.making(["pod.run.", "network.connect."], "RunPodSandbox") {
                try await daemon.runPod(config)
            }
            let script = "trap 'exit 3' TERM; while :; do sleep 0.05; done"
            let container = daemon.containerConfiguration("main", ["/bin/sh", "-c", script])
            @Sendable func create() async throws -> String {
                try await daemon.createContainer(container, in: pod, config)
            }
            try await life.each(
                ["container.start."], "StartContainer", create,
                { id in
                    try await start(id, daemon)
                    #expect(try await daemon.status(of: id).state == .containerRunning)
                    try await daemon.removeContainer(id)
                })
            try await life.each(
                ["container.stop.killed", "container.kill."], "StopContainer at once", create,
                { id in
                    try await start(id, daemon)
                    _ = try await daemon.runtime { try await $0.stopContainer(.with { $0.containerID = id }) }
                    #expect(try await daemon.exit(of: id).exitCode == 137)
                    try await daemon.removeContainer(id)
                })
            try await life.each(
                ["container.remove.", "container.dismantle.", "snapshot.remove."], "RemoveContainer", create,
                daemon.removeContainer)

            let id = try await life.making(["container.create.", "snapshot.prepare."], "CreateContainer", create)
            try await start(id, daemon)
            try await life.call(["container.update."], "UpdateContainerResources") {
                _ = try await daemon.runtime {
                    try await $0.updateContainerResources(
                        .with {
                            $0.containerID = id
                            $0.linux.cpuShares = 512
                        })
                }
            }
            #expect(try await daemon.status(of: id).resources.linux.cpuShares == 512)
            try await life.call(["pod.update."], "UpdatePodSandboxResources") {
                _ = try await daemon.runtime {
                    try await $0.updatePodSandboxResources(
                        .with {
                            $0.podSandboxID = pod
                            $0.resources.cpuShares = 1024
                        })
                }
            }
            try await life.call(["exec."], "ExecSync") {
                let answer = try await daemon.exec(id, ["/bin/sh", "-c", "sleep 0.1; echo done"])
                #expect(answer.exitCode == 0)
            }
            try? await eventually("exec's cgroups to go") { try life.things().filter { $0.contains("/exec-") } == [] }
            let left = try life.things().filter { $0.contains("/exec-") }.sorted()
            #expect(left == [])
            try await life.call(["container.stop.signalled", "container.exit."], "StopContainer") {
                _ = try await daemon.runtime {
                    try await $0.stopContainer(
                        .with {
                            $0.containerID = id
                            $0.timeout = 5
                        })
                }
            }
            #expect(try await daemon.exit(of: id).exitCode == 3)
            try await daemon.removePod(pod)
            try await life.expectNothing("the pod's life")
            let points = try await Failpoints.named(["pod", "container", "exec", "network"])
            // Those of images and user namespaces are the next test's, too.
            #expect(points.subtracting(life.tried).sorted() == [], "failpoints that the test does not reach")
            #expect(points.count > 40)
        }
    }

    /// A kubelet starts what its list shows as created.
    private func start(_ id: String, _ daemon: Daemon) async throws {
        guard try await daemon.status(of: id).state == .containerCreated else { return }
        _ = try await daemon.runtime { try await $0.startContainer(.with { $0.containerID = id }) }
    }

    /// A pod with its own user and PID namespaces, and a container with an image as a volume.
    @Test func alsoWithMoreNamespacesAndMounts() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("mapped") {
                $0.linux.securityContext.namespaceOptions = .with {
                    $0.pid = .pod
                    $0.usernsOptions = .with {
                        $0.mode = .pod
                        let mapping = Runtime_V1_IDMapping.with {
                            $0.hostID = 300_000
                            $0.length = 65536
                        }
                        $0.uids = [mapping]
                        $0.gids = [mapping]
                    }
                }
            }
            let life = try await MortalLife(daemon, pod: config)
            let pod = try await life.making(
                ["pod.run.launched", "pod.run.namespaces", "pod.run.ready"], "RunPodSandbox"
            ) {
                try await daemon.runPod(config)
            }
            let container = daemon.containerConfiguration("main", ["/bin/sleep", "1000"]) {
                $0.linux.securityContext.namespaceOptions = config.linux.securityContext.namespaceOptions
                $0.mounts = [
                    .with {
                        $0.containerPath = "/volume"
                        $0.readonly = true
                        $0.image = .with { $0.image = Daemon.image }
                    }
                ]
            }
            @Sendable func create() async throws -> String {
                try await daemon.createContainer(container, in: pod, config)
            }
            let points = ["images", "directory", "mounted", "launched"].map { "container.create.\($0)" }
            try await daemon.removeContainer(life.making(points, "CreateContainer", create))
            try await life.each(
                ["container.dismantle.monitor", "container.dismantle.unmounted"], "RemoveContainer", create,
                daemon.removeContainer)
            _ = try await create()
            try await life.call(["pod.remove.containers", "pod.dismantle.init"], "RemovePodSandbox") {
                try await daemon.removePod(pod)
            }
            try await life.expectNothing("a pod with a user namespace")
        }
    }

    /// Clearing up after a death is itself interrupted at every step.
    @Test func alsoInTheMiddleOfClearingUp() async throws {
        try await Daemon.with { daemon in
            let life = try await MortalLife(daemon)
            let config = daemon.podConfiguration("twice")
            try await life.die(at: "pod.run.files") { try await daemon.runPod(config) }
            try await life.startUntilItServes(["pod.dismantle.", "network.clear."])
            try await life.expectNothing("clearing a pod up")

            let pod = try await daemon.runPod(config)
            let before = try life.things()
            let container = daemon.containerConfiguration("main", ["/bin/sleep", "1000"])
            try await life.die(at: "container.create.launched") {
                try await daemon.createContainer(container, in: pod, config)
            }
            try await life.startUntilItServes(["container.dismantle.", "snapshot.remove."])
            let left = try life.things().subtracting(before).sorted()
            #expect(left == [], "clearing a container up")
        }
    }

    /// With Debian's plugins, between any two of them.
    @Test(.enabled(if: Files.exists("/usr/lib/cni/bridge"))) func alsoBetweenNetworkPlugins() async throws {
        try await Daemon.with { daemon in
            let addresses = daemon.scratch.appending("addresses")
            try Files.makeDirectories(daemon.scratch.appending("cni"), mode: 0o755)
            try daemon.scratch.file(
                "cni/10-test.conflist",
                """
                {"cniVersion": "1.0.0", "name": "kill", "plugins": [
                  {"type": "bridge", "bridge": "\(daemon.mark)c", "isGateway": true, "ipam": {"type": "host-local",
                   "dataDir": "\(addresses)", "ranges": [[{"subnet": "10.232.77.0/24"}]]}},
                  {"type": "portmap", "capabilities": {"portMappings": true}}]}
                """)
            let life = try await MortalLife(daemon)
            let config = daemon.podConfiguration("plugged")
            @Sendable func run() async throws -> String { try await daemon.runPod(config) }
            try await daemon.removePod(life.making(["cni.add."], "RunPodSandbox", run))
            try await life.each(["cni.delete."], "RemovePodSandbox", run, daemon.removePod)
            try await life.expectNothing("a pod on CNI plugins")
            #expect(try await Failpoints.named(["cni"]).subtracting(life.tried) == [])
            let given = try Files.list(addresses.appending("kill")).filter { $0.hasPrefix("10.") }
            #expect(given == [], "addresses that are given still")
            #expect(try Files.list(FilePath("/sys/class/net/\(daemon.mark)c/brif")) == [])
        }
    }

    /// A runtime of the field as a handler.
    @Test(.enabled(if: Files.exists("/usr/sbin/runc"))) func alsoWithAnotherRuntime() async throws {
        try await Daemon.with(settings: { _ in "[runtimes.runc]\npath = \"/usr/sbin/runc\"" }) { daemon in
            let config = daemon.podConfiguration("handled")
            let life = try await MortalLife(daemon)
            let pod = try await daemon.runtime {
                try await $0.runPodSandbox(
                    .with {
                        $0.config = config
                        $0.runtimeHandler = "runc"
                    }
                ).podSandboxID
            }
            let container = daemon.containerConfiguration("main", ["/bin/sleep", "1000"])
            @Sendable func create() async throws -> String {
                try await daemon.createContainer(container, in: pod, config)
            }
            let id = try await life.making(["handler.create."], "CreateContainer", create)
            try await daemon.removeContainer(id)
            try await life.each(
                ["handler.start.", "handler.delete."], "StartContainer and RemoveContainer", create,
                { id in
                    try? await start(id, daemon)
                    try await daemon.removeContainer(id)
                })
            try await daemon.removePod(pod)
            try await life.expectNothing("a pod of another runtime")
            #expect(try await Failpoints.named(["handler"]).subtracting(life.tried).sorted() == [])
            let known = try await Program.system("runc").check(
                "--root", daemon.scratch.path.pushing(FilePath("state/runtimes/runc")).string, "list", "--quiet")
            #expect(known.standardOutput == "")
        }
    }

    /// Between a plugin's being asked and its answer's being heard, in each call that asks one.
    @Test(.enabled(if: Files.exists("/usr/bin/python3"))) func alsoWhileAPluginIsAsked() async throws {
        try await Daemon.with(settings: { scratch in
            let plugin = Program.checkout.pushing("Tests/NRITests/plugin.py")
            let text = try Files.readText(plugin).split(separator: "@LOG@", omittingEmptySubsequences: false)
            _ = try scratch.file("nri/10-probe", text.joined(separator: "\(scratch.path)/asked"), mode: 0o755)
            return """
                [nri]
                enabled = true
                socket = ""
                plugin_directory = "\(scratch.path)/nri"
                """
        }) { daemon in
            let config = daemon.podConfiguration("asked")
            let life = try await MortalLife(daemon)
            let pod = try await life.making(["nri."], "RunPodSandbox") { try await daemon.runPod(config) }
            let container = daemon.containerConfiguration("main", ["/bin/sleep", "1000"])
            let id = try await life.making(["nri."], "CreateContainer") {
                try await daemon.createContainer(container, in: pod, config)
            }
            try await life.call(["nri."], "StartContainer") { try await start(id, daemon) }
            try await life.call(["nri."], "UpdateContainerResources") {
                _ = try await daemon.runtime {
                    try await $0.updateContainerResources(
                        .with {
                            $0.containerID = id
                            $0.linux.cpuShares = 512
                        })
                }
            }
            try await life.call(["nri."], "RemoveContainer") { try await daemon.removeContainer(id) }
            try await life.call(["nri."], "RemovePodSandbox") { try await daemon.removePod(pod) }
            try await life.expectNothing("a pod that a plugin was asked about")
            #expect(try await Failpoints.named(["nri"]).subtracting(life.tried).sorted() == [])
        }
    }
}

/// The names in the sources, so that none is added without being tried.
enum Failpoints {
    static func named(_ areas: [String]) async throws -> Set<String> {
        let sources = Program.checkout.appending("Sources")
        let found = try await Program.system("grep", "-rhoE", "Failpoint\\.reach\\(\"[a-z.]+\"\\)").check(
            sources.string)
        return Set(
            found.lines.compactMap { line in
                line.split(separator: "\"").dropFirst().first.map(String.init)
            }.filter { name in areas.contains { name.hasPrefix("\($0).") } })
    }
}
