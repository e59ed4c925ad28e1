internal import CRIAPI
internal import GRPCCore
internal import LinuxKernel
internal import Synchronization
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct FailureTests {
    @Test func failedCreatesLeaveNothingAndNameWhatWasWrong() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("failing")
            let pod = try await daemon.runPod(config)
            let before = try daemon.snapshot()

            let cases: [(Runtime_V1_ContainerConfig, String)] = [
                (daemon.containerConfiguration("noexec", ["/no/such/program"]), "/no/such/program"),
                (
                    daemon.containerConfiguration("noimage", ["/bin/true"]) {
                        $0.image.image = "docker.io/library/absent:1"
                    },
                    "docker.io/library/absent:1"
                ),
                (
                    daemon.containerConfiguration("nouser", ["/bin/true"]) {
                        $0.linux.securityContext.runAsUsername = "nobody-of-this-name"
                    }, "nobody-of-this-name"
                ),
                (
                    daemon.containerConfiguration("nocap", ["/bin/true"]) {
                        $0.linux.securityContext.capabilities.addCapabilities = ["NO_SUCH_CAPABILITY"]
                    }, "NO_SUCH_CAPABILITY"
                ),
            ]
            for (container, word) in cases {
                let error = await #expect(throws: RPCError.self) {
                    _ = try await daemon.startContainer(container, in: pod, config)
                }
                #expect(error?.message.contains(word) == true, "\(String(describing: error)) does not name \(word)")
                // A create may succeed where only the start fails.
                for made in try await daemon.runtime({ try await $0.listContainers(.init()).containers }) {
                    _ = try await daemon.runtime { try await $0.removeContainer(.with { $0.containerID = made.id }) }
                }
                #expect(try daemon.snapshot().added(since: before) == [])
            }
        }
    }

    @Test func failedSandboxLeavesNothing() async throws {
        try await Daemon.with { daemon in
            // The bridge and the first directories are made by a pod that works.
            let first = try await daemon.runPod(daemon.podConfiguration("first"))
            _ = try await daemon.runtime { try await $0.stopPodSandbox(.with { $0.podSandboxID = first }) }
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = first }) }
            let before = try daemon.snapshot()
            let bad = daemon.podConfiguration("bad") { $0.linux.sysctls = ["kernel.no_such_sysctl": "1"] }
            let error = await #expect(throws: RPCError.self) { _ = try await daemon.runPod(bad) }
            #expect(error?.message.contains("no_such_sysctl") == true, "\(String(describing: error))")
            #expect(try daemon.snapshot().added(since: before) == [])
        }
    }

    @Test func unknownIDsAreNotFoundAndRemovalsIdempotent() async throws {
        try await Daemon.with(image: false) { daemon in
            let error = await #expect(throws: RPCError.self) { _ = try await daemon.status(of: "absent") }
            #expect(error?.code == .notFound)
            #expect(error?.message.contains("absent") == true)
            _ = try await daemon.runtime { try await $0.stopPodSandbox(.with { $0.podSandboxID = "absent" }) }
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = "absent" }) }
            _ = try await daemon.runtime { try await $0.removeContainer(.with { $0.containerID = "absent" }) }
            let image = try await daemon.images {
                try await $0.imageStatus(.with { $0.image = .with { $0.image = "absent" } })
            }
            #expect(!image.hasImage)
        }
    }

    /// What is on a disk that is full to the last block can be taken away all the same, by this daemon and the next one.
    @Test func podsEndAndGoOnAFullDisk() async throws {
        let disk = Mutex<FilePath?>(nil)
        defer { disk.withLock { if let disk = $0 { try? Syscall.umount2(disk, .detach) } } }
        try await Daemon.with(settings: { scratch in
            let root = try scratch.directory("root")
            try Syscall.mount(source: "tmpfs", target: root, type: "tmpfs", flags: [], data: "size=160m,mode=0711")
            disk.withLock { $0 = root }
            return ""
        }) { daemon in
            var pods: [(id: String, container: String)] = []
            for number in 0..<6 {
                let config = daemon.podConfiguration("full-\(number)")
                let pod = try await daemon.runPod(config)
                let container = daemon.containerConfiguration(
                    "main", ["/bin/sh", "-c", "echo x > /own; exec sleep 1000"])
                pods.append((pod, try await daemon.startContainer(container, in: pod, config)))
            }
            let ballast = daemon.scratch.path.pushing(FilePath("root/ballast"))
            let file = try Syscall.open(ballast, [.writeOnly, .create, .append], mode: 0o600)
            func fill() {
                for size in [1 << 20, 4096] {
                    while (try? Files.writeAll(file.fd, [UInt8](repeating: 7, count: size))) != nil {}
                }
            }
            fill()
            let refusal = await #expect(throws: RPCError.self) {
                _ = try await daemon.runPod(daemon.podConfiguration("more"))
            }
            #expect(refusal?.code == .resourceExhausted, "\(String(describing: refusal))")
            for pod in pods.prefix(2) {
                _ = try await daemon.runtime { try await $0.stopContainer(.with { $0.containerID = pod.container }) }
                #expect(try await daemon.exit(of: pod.container).exitCode == 137)
                fill()
                try await daemon.removeContainer(pod.container)
                fill()
                _ = try await daemon.runtime { try await $0.stopPodSandbox(.with { $0.podSandboxID = pod.id }) }
                try await daemon.removePod(pod.id)
            }
            fill()
            try await daemon.killAndRestart()
            fill()
            try await daemon.removePod(pods[2].id)
            fill()
            try await daemon.stop()
            fill()
            try await daemon.start()
            for pod in pods.dropFirst(3) { try await daemon.removePod(pod.id) }
            #expect(try await daemon.runtime { try await $0.listPodSandbox(.init()).items.count } == 0)
            #expect(try await daemon.runtime { try await $0.listContainers(.init()).containers.count } == 0)
            #expect(try Files.list(daemon.scratch.path.pushing(FilePath("state/pods"))) == [])
            // And there is life after it.
            try Syscall.unlinkat(ballast)
            file.close()
            let config = daemon.podConfiguration("after")
            try await daemon.removePod(daemon.runPod(config))
        }
    }

    @Test func callsThatAreNotServedSayTheirName() async throws {
        try await Daemon.with(image: false) { daemon in
            let calls: [(String, @Sendable (Daemon.RuntimeClient) async throws -> Void)] = [
                ("CheckpointPod", { _ = try await $0.checkpointPod(.with { $0.podSandboxID = "x" }) }),
                ("RestorePod", { _ = try await $0.restorePod(.with { $0.checkpointPath = "/x" }) }),
            ]
            for (name, call) in calls {
                let error = await #expect(throws: RPCError.self) { try await daemon.runtime(call) }
                #expect(error?.code == .unimplemented)
                #expect(error?.message.contains("\(name) is not implemented") == true)
            }
        }
    }
}
