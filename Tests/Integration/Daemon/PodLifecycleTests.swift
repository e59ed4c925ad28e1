internal import CRIAPI
internal import GRPCCore
internal import LinuxKernel
internal import TestSupport
internal import Testing

@Suite struct PodLifecycleTests {
    @Test func podRunsStopsAndLeavesNothing() async throws {
        try await Daemon.with { daemon in
            let before = try daemon.snapshot()
            let config = daemon.podConfiguration("web")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sh", "-c", "echo hello; echo oops >&2; exec sleep 1000"]),
                in: pod, config)

            let status = try await daemon.status(of: container)
            #expect(status.state == .containerRunning)
            #expect(status.startedAt > status.createdAt)
            let sandbox = try await daemon.runtime {
                try await $0.podSandboxStatus(.with { $0.podSandboxID = pod }).status
            }
            #expect(sandbox.state == .sandboxReady)
            #expect(sandbox.network.ip.hasPrefix("10.231."))

            try await eventually("both lines in the log") {
                let log = try Files.readText(daemon.scratch.appending("logs").appending("web").appending("main.log"))
                let lines = log.split(separator: "\n")
                return lines.contains { $0.hasSuffix(" stdout F hello") }
                    && lines.contains { $0.hasSuffix(" stderr F oops") }
            }

            let hostname = try await daemon.exec(container, ["hostname"])
            #expect(String(decoding: hostname.stdout, as: UTF8.self) == "web\n")
            #expect(hostname.exitCode == 0)
            let failing = try await daemon.exec(container, ["/bin/sh", "-c", "echo bad >&2; exit 7"])
            #expect(failing.exitCode == 7)
            #expect(String(decoding: failing.stderr, as: UTF8.self) == "bad\n")
            let address = try await daemon.exec(container, ["ip", "-4", "-o", "address", "show", "eth0"])
            #expect(String(decoding: address.stdout, as: UTF8.self).contains(sandbox.network.ip))

            _ = try await daemon.runtime {
                try await $0.stopContainer(
                    .with {
                        $0.containerID = container; $0.timeout = 1
                    })
            }
            let stopped = try await daemon.status(of: container)
            #expect(stopped.state == .containerExited)
            #expect(stopped.exitCode == 137 || stopped.exitCode == 143)

            _ = try await daemon.runtime { try await $0.stopPodSandbox(.with { $0.podSandboxID = pod }) }
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = pod }) }
            #expect(try await daemon.runtime { try await $0.listContainers(.init()).containers }.isEmpty)
            // The bridge and the lease directory are the network's, not the pod's.
            let left = try daemon.snapshot().added(since: before).filter {
                !$0.contains("link \(daemon.mark)") && !$0.contains("/state/network")
                    && !$0.hasSuffix("/state/pods") && !$0.hasSuffix("/state/containers")
                    && !$0.hasPrefix("cgroup") || $0.contains(pod) || $0.contains(container)
            }
            #expect(left == [])
        }
    }

    @Test func containersOfAPodShareItsNetworkAndReachEachOther() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("pair")
            let pod = try await daemon.runPod(config)
            _ = try await daemon.startContainer(
                daemon.containerConfiguration(
                    "server",
                    ["/bin/sh", "-c", "mkdir /www; echo served > /www/index.html; exec httpd -f -p 8080 -h /www"]),
                in: pod, config)
            let client = try await daemon.startContainer(
                daemon.containerConfiguration("client", ["/bin/sleep", "1000"]), in: pod, config)
            try await eventually("the server to answer") {
                let answer = try await daemon.exec(client, ["wget", "-q", "-O", "-", "http://127.0.0.1:8080/"])
                return String(decoding: answer.stdout, as: UTF8.self) == "served\n"
            }
        }
    }

    @Test func exitCodesAndOutOfMemoryAreTold() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("exits")
            let pod = try await daemon.runPod(config)
            let plain = try await daemon.startContainer(
                daemon.containerConfiguration("three", ["/bin/sh", "-c", "exit 3"]), in: pod, config)
            let three = try await daemon.exit(of: plain)
            #expect(three.exitCode == 3)
            #expect(three.reason == "Error")
            let error = await #expect(throws: RPCError.self) {
                _ = try await daemon.runtime { try await $0.containerStats(.with { $0.containerID = plain }) }
            }
            #expect(error?.code == .failedPrecondition)

            let hungry = try await daemon.startContainer(
                daemon.containerConfiguration("hungry", ["/bin/sh", "-c", "tail -c 400m /dev/zero"]) {
                    $0.linux.resources.memoryLimitInBytes = 32 << 20
                    $0.linux.resources.memorySwapLimitInBytes = 32 << 20
                }, in: pod, config)
            let killed = try await daemon.exit(of: hungry)
            #expect(killed.exitCode == 137)
            #expect(killed.reason == "OOMKilled")
        }
    }

    @Test func execSyncEndsWithItsTimeout() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("slow")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]), in: pod, config)
            let error = await #expect(throws: RPCError.self) {
                try await daemon.exec(container, ["/bin/sh", "-c", "sleep 777 & sleep 777"], timeout: 1)
            }
            #expect(error?.code == .deadlineExceeded)
            try await eventually("the exec's whole tree to be gone") {
                let processes = try await daemon.exec(container, ["/bin/ps"])
                return !String(decoding: processes.stdout, as: UTF8.self).contains("sleep 777")
            }
        }
    }
}
