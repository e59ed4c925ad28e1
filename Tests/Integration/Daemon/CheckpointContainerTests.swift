internal import CRIAPI
internal import Core
internal import GRPCCore
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// CheckpointContainer, and CreateContainer of what it wrote.
@Suite("Checkpoints of containers", .serialized) struct CheckpointContainerTests {
    /// Counts in the log; what it has counted is in its memory alone. It has a file of its own, and has removed one.
    private static let script =
        "echo mine > /own; rm /etc/group; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"

    private static let settings: @Sendable (ScratchDirectory) throws -> String = { _ in
        "criu = \"\(CRIU.program)\"\nrestore_checkpoints = true"
    }

    private func checkpoint(_ id: String, to location: FilePath, _ daemon: Daemon) async throws {
        _ = try await daemon.runtime {
            try await $0.checkpointContainer(
                .with {
                    $0.containerID = id
                    $0.location = location.string
                    $0.timeout = 60
                })
        }
    }

    /// What is being written or waits.
    private func staged(_ daemon: Daemon) -> [String] {
        (try? Files.list(daemon.scratch.path.pushing(FilePath("root/checkpoints")))) ?? []
    }

    private func count(_ daemon: Daemon, _ pod: String, _ name: String) -> Int {
        let log = (try? Files.readText(daemon.scratch.path.pushing(FilePath("logs/\(pod)/\(name).log")))) ?? ""
        return log.split(separator: "\n").last?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    }

    private func counter(_ daemon: Daemon, in pod: String, _ config: Runtime_V1_PodSandboxConfig) async throws -> String
    {
        let container = daemon.containerConfiguration("main", ["/bin/sh", "-c", Self.script])
        return try await daemon.startContainer(container, in: pod, config)
    }

    /// A counter in the pod "first", which counts on after its checkpoint.
    private func checkpointedCounter(_ daemon: Daemon) async throws -> (pod: String, location: FilePath) {
        let config = daemon.podConfiguration("first")
        let pod = try await daemon.runPod(config)
        let id = try await counter(daemon, in: pod, config)
        try await eventually("the counter") { count(daemon, "first", "main") > 10 }
        let location = daemon.scratch.appending("checkpoint.tar")
        try await checkpoint(id, to: location, daemon)
        return (pod, location)
    }

    @Test func withoutCRIUTheErrorSaysSo() async throws {
        try await Daemon.with(settings: { _ in "criu = \"/nonexistent/criu\"" }) { daemon in
            let config = daemon.podConfiguration("plain")
            let pod = try await daemon.runPod(config)
            let id = try await counter(daemon, in: pod, config)
            let location = daemon.scratch.appending("checkpoint.tar")
            let error = await #expect(throws: RPCError.self) { try await checkpoint(id, to: location, daemon) }
            #expect(error?.code == .failedPrecondition)
            #expect(
                error?.message.contains("/nonexistent/criu is not installed") == true, "\(String(describing: error))")
            #expect(!Files.exists(location))
            for path in ["", "relative.tar", "/tmp/../x.tar", "/"] {
                let error = await #expect(throws: RPCError.self) {
                    try await checkpoint(id, to: FilePath(path), daemon)
                }
                #expect(error?.code == .invalidArgument, "\(path)")
            }
            let missing = await #expect(throws: RPCError.self) { try await checkpoint("absent", to: location, daemon) }
            #expect(missing?.code == .notFound)
            // An archive for an image is nothing that everybody may ask for.
            try daemon.scratch.file("archive.tar", "")
            let restored = daemon.containerConfiguration("restored", []) {
                $0.image.image = daemon.scratch.appending("archive.tar").string
            }
            let refusal = await #expect(throws: RPCError.self) {
                _ = try await daemon.createContainer(restored, in: pod, config)
            }
            #expect(refusal?.message.contains("pods.restore_checkpoints") == true, "\(String(describing: refusal))")
        }
    }

    @Test(.enabled(if: CRIU.isPossible)) func aContainerGoesOnInAnotherPod() async throws {
        try await Daemon.with(settings: Self.settings) { daemon in
            let (pod, location) = try await checkpointedCounter(daemon)
            #expect(try Syscall.stat(location).permissions == 0o600)
            let members = try await Program.system("tar", "tf").check(location.string).lines.map(String.init)
            for member in ["config.dump", "spec.dump", "status.dump", "container.log", "dump.log", "rootfs-diff.tar"] {
                #expect(members.contains(member), "\(member)")
            }
            #expect(members.contains { $0.hasPrefix("checkpoint/pages-") })
            let written = count(daemon, "first", "main")
            try await eventually("the counter to go on") { count(daemon, "first", "main") > written + 5 }
            #expect(staged(daemon) == [])
            try await daemon.removePod(pod)
            let before = try daemon.snapshot()

            let next = daemon.podConfiguration("second")
            let second = try await daemon.runPod(next)
            let container = daemon.containerConfiguration("main", []) { $0.image.image = location.string }
            let restored = try await daemon.createContainer(container, in: second, next)
            #expect(try await daemon.status(of: restored).state == .containerCreated)
            _ = try await daemon.runtime { try await $0.startContainer(.with { $0.containerID = restored }) }
            try await eventually("the restored counter") { count(daemon, "second", "main") > written }
            // One that began anew would have counted from 1.
            #expect(count(daemon, "second", "main") < written + 2000 && written > 10)
            let answer = try await daemon.exec(restored, ["/bin/sh", "-c", "cat /own; ls /etc/group; hostname"])
            #expect(String(decoding: answer.stdout, as: UTF8.self) == "mine\nsecond\n")
            #expect(String(decoding: answer.stderr, as: UTF8.self).contains("/etc/group"))
            // Another daemon knows it too, and can checkpoint it again.
            try await daemon.killAndRestart()
            #expect(try await daemon.status(of: restored).state == .containerRunning)
            try await checkpoint(restored, to: location, daemon)
            _ = try await daemon.runtime { try await $0.stopContainer(.with { $0.containerID = restored }) }
            #expect(try await daemon.exit(of: restored).exitCode == 137)
            try await daemon.removePod(second)
            let left = try daemon.snapshot().added(since: before).filter { !$0.contains(" berthd --config ") }
            #expect(left == [])
            #expect(staged(daemon) == [])
        }
    }

    /// As people move a container to another node: the archive is the one layer of an annotated image in a registry.
    @Test(.enabled(if: CRIU.isPossible)) func aContainerGoesOnFromAnImage() async throws {
        try await Daemon.with(settings: Self.settings) { daemon in
            let (pod, location) = try await checkpointedCounter(daemon)
            let written = count(daemon, "first", "main")
            try await daemon.removePod(pod)

            try await TestRegistry.with(daemon.scratch) { registry in
                let reference = "127.0.0.1:\(registry.port)/moved/counter:1"
                let layout = daemon.scratch.appending("layout").string
                let umoci = Program.system("umoci")
                try await umoci.check("init", "--layout", layout)
                try await umoci.check("new", "--image", "\(layout):1")
                try await umoci.check("raw", "add-layer", "--image", "\(layout):1", location.string)
                try await umoci.check(
                    "config", "--image", "\(layout):1", "--manifest.annotation",
                    "org.criu.checkpoint.container.name=main")
                try await Program.system("skopeo").check(
                    "copy", "--dest-tls-verify=false", "oci:\(layout):1", "docker://\(reference)")
                _ = try await daemon.images {
                    try await $0.pullImage(.with { $0.image = .with { $0.image = reference } })
                }

                let next = daemon.podConfiguration("second")
                let second = try await daemon.runPod(next)
                let container = daemon.containerConfiguration("main", []) { $0.image.image = reference }
                let restored = try await daemon.startContainer(container, in: second, next)
                try await eventually("the restored counter") { count(daemon, "second", "main") > written }
                #expect(try await daemon.status(of: restored).image.image == Daemon.image)
                try await daemon.removePod(second)
                #expect(staged(daemon) == [])
            }
        }
    }

    /// `hack/vm --systemd`.
    @Test(.enabled(if: CRIU.isPossible && Files.exists("/run/systemd/system"))) func aContainerGoesOnInAScope()
        async throws
    {
        let settings: @Sendable (ScratchDirectory) throws -> String = {
            try "cgroup_driver = \"systemd\"\n\(Self.settings($0))"
        }
        try await Daemon.with(settings: settings) { daemon in
            let config = daemon.podConfiguration("first") { $0.linux.cgroupParent = "" }
            let pod = try await daemon.runPod(config)
            let id = try await counter(daemon, in: pod, config)
            try await eventually("the counter") { count(daemon, "first", "main") > 10 }
            let location = daemon.scratch.appending("checkpoint.tar")
            try await checkpoint(id, to: location, daemon)
            let written = count(daemon, "first", "main")
            try await daemon.removeContainer(id)

            let container = daemon.containerConfiguration("main", []) {
                $0.metadata.attempt = 1
                $0.image.image = location.string
            }
            let restored = try await daemon.startContainer(container, in: pod, config)
            try await eventually("the restored counter") { count(daemon, "first", "main") > written }
            func scope(_ property: String) async throws -> [String] {
                try await Program.system("systemctl").check(
                    "show", "cri-berth-\(restored).scope", "--property", property, "--value"
                ).lines.map(String.init)
            }
            #expect(try await scope("ActiveState") == ["active"])
            #expect(try await scope("Slice") == ["\(daemon.mark)-\(pod).slice"])
            try await daemon.removePod(pod)
            #expect(try await scope("ActiveState") == ["inactive"])
            _ = try await Program.system("systemctl").run("stop", "\(daemon.mark).slice")
        }
    }

    @Test(.enabled(if: CRIU.isPossible)) func theDaemonDiesAtEveryStep() async throws {
        try await Daemon.with(settings: Self.settings) { daemon in
            let life = try await MortalLife(daemon)
            let config = daemon.podConfiguration("mortal")
            let pod = try await daemon.runPod(config)
            let id = try await counter(daemon, in: pod, config)
            let location = daemon.scratch.appending("checkpoint.tar")
            try await life.call(
                ["checkpoint."], "CheckpointContainer",
                afterEach: { what in
                    // It must not stay frozen.
                    let count = count(daemon, "mortal", "main")
                    try await eventually("\(what): the container to run on") {
                        self.count(daemon, "mortal", "main") > count
                    }
                    #expect(
                        staged(daemon) == [],
                        "\(what)")
                    #expect(!Files.exists(FilePath("\(location).partial")), "\(what)")
                }
            ) {
                try await checkpoint(id, to: location, daemon)
            }
            try await daemon.removeContainer(id)
            let container = daemon.containerConfiguration("main", [], { $0.image.image = location.string })
            let restored = try await life.making(["restore."], "CreateContainer") {
                try await daemon.createContainer(container, in: pod, config)
            }
            try await daemon.removeContainer(restored)
            try await daemon.removePod(pod)
            try await life.expectNothing("checkpoints")
            #expect(staged(daemon) == [])
            #expect(try await Failpoints.named(["checkpoint", "restore"]).subtracting(life.tried).sorted() == [])
        }
    }
}
