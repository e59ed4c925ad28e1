internal import CRIAPI
internal import GRPCCore
internal import LinuxKernel
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

    @Test func callsThatAreNotServedSayTheirName() async throws {
        try await Daemon.with(image: false) { daemon in
            let error = await #expect(throws: RPCError.self) {
                _ = try await daemon.runtime { try await $0.checkpointContainer(.with { $0.containerID = "x" }) }
            }
            #expect(error?.code == .unimplemented)
            #expect(error?.message.contains("CheckpointContainer") == true)
        }
    }
}
