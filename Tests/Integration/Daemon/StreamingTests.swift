internal import CRIAPI
internal import Core
internal import Foundation
internal import GRPCCore
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Exec, attach and port-forward through berth-crictl, over both transports.
@Suite struct StreamingTests {
    private struct Scene {
        let daemon: Daemon
        let pod: String
        let podConfig: Runtime_V1_PodSandboxConfig
        let container: String
    }

    private func with(_ body: (Scene) async throws -> Void) async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("streams")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]), in: pod, config)
            try await body(Scene(daemon: daemon, pod: pod, podConfig: config, container: container))
        }
    }

    @Test(arguments: ["spdy", "websocket"])
    func execKeepsStreamsApartAndTellsTheExitCode(_ transport: String) async throws {
        try await with { scene in
            let exec = { (words: [String], input: String) in
                try await scene.daemon.crictl.run(["exec", "-r", transport] + words, input: input)
            }
            let both = try await exec([scene.container, "sh", "-c", "echo out; echo err >&2; exit 7"], "")
            #expect(both.standardOutput == "out\n")
            #expect(both.standardError.contains("err\n"))
            #expect(both.code == 7)
            // The end of stdin reaches the command.
            let echoed = try await exec(["-i", scene.container, "sh", "-c", "cat; echo end"], "some\ntext\n")
            #expect(echoed.standardOutput == "some\ntext\nend\n")
            #expect(echoed.code == 0)
            let missing = try await exec([scene.container, "no-such-program"], "")
            #expect(missing.code != 0)
            #expect(missing.standardError.contains("no-such-program"))
            let text = String(repeating: "0123456789abcde\n", count: 1 << 18)
            let large = try await exec(["-i", scene.container, "cat"], text)
            #expect(large.standardOutput == text)
        }
    }

    @Test func terminalOfACommandHasTheSizeOfOurs() async throws {
        try await with { scene in
            let command = "stty rows 33 cols 99; exec \(scene.daemon.crictl.path) -r unix://\(scene.daemon.socket) "
            let output = try await Program.system("script", "-qec").run(
                command + "exec -it \(scene.container) sh -c 'sleep 0.3; stty size; tty'", "/dev/null")
            #expect(output.standardOutput.contains("33 99"), "\(output)")
            #expect(output.standardOutput.contains("/dev/pts/"), "\(output)")
        }
    }

    @Test func severalClientsAttachToOneContainer() async throws {
        try await with { scene in
            let container = try await scene.daemon.startContainer(
                scene.daemon.containerConfiguration("reader", ["/bin/cat"]) {
                    $0.stdin = true
                    $0.stdinOnce = true
                }, in: scene.pod, scene.podConfig)
            let crictl = scene.daemon.crictl
            async let first = crictl.run(["attach", container])
            async let second = crictl.run(["attach", "-r", "websocket", container])
            try await Task.sleep(for: .seconds(1))
            let third = try await crictl.run(["attach", "-i", container], input: "to all\n")
            #expect(third.standardOutput == "to all\n", "\(third)")
            // The end of that stdin was the container's own end, and so that of every client.
            #expect(try await first.standardOutput == "to all\n")
            #expect(try await second.standardOutput == "to all\n")
            #expect(try await scene.daemon.exit(of: container).exitCode == 0)
        }
    }

    @Test(arguments: ["spdy", "websocket"])
    func portsOfAPodAreForwarded(_ transport: String) async throws {
        try await with { scene in
            let script = "while :; do echo hello from the pod | nc -l -p 8123; done"
            _ = try await scene.daemon.startContainer(
                scene.daemon.containerConfiguration("server", ["/bin/sh", "-c", script]), in: scene.pod,
                scene.podConfig)
            let told = scene.daemon.scratch.appending("forward.out")
            let log = try FileDescriptor.open(
                told, .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
            defer { try? log.close() }
            let client = try Spawn.spawn(
                executable: scene.daemon.crictl.path,
                arguments: [
                    "berth-crictl", "-r", "unix://\(scene.daemon.socket)", "port-forward", "-r", transport, scene.pod,
                    "0:8123", "0:8999",
                ], environment: ["PATH=/usr/bin:/bin"], descriptors: [(log, 1), (log, 2)])
            defer { try? client.signal(9) }
            try await eventually("both ports to be listened on") {
                try Files.readText(told).split(separator: "\n").count == 2
            }
            let ports = try Files.readText(told).split(separator: "\n").map { line in
                line.split(separator: " ")[2].split(separator: ":")[1]
            }
            for _ in 0..<3 {
                try await eventually("the server to answer") {
                    let answer = try await Program(FilePath("/bin/busybox")).run(
                        ["timeout", "5", "nc", "127.0.0.1", String(ports[0])])
                    return answer.standardOutput == "hello from the pod\n"
                }
            }
            let refused = try await Program(FilePath("/bin/busybox")).run(
                ["timeout", "5", "nc", "127.0.0.1", String(ports[1])])
            #expect(refused.standardOutput.isEmpty)
            try await eventually("the failure to be told") { try Files.readText(told).contains("8999") }
            try client.signal(9)
            _ = try await client.wait()
        }
    }

    @Test func hundredsOfSessionsLeaveNoDescriptor() async throws {
        try await with { scene in
            let pid = await scene.daemon.pid
            func session(_ transport: String) async throws {
                let output = try await scene.daemon.crictl.run(
                    ["exec", "-i", "-r", transport, scene.container, "cat"], input: "x")
                #expect(output.standardOutput == "x", "\(output)")
            }
            for _ in 0..<4 { try await session("spdy") }
            let before = try descriptors(of: pid)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        for _ in 0..<25 { try await session(worker.isMultiple(of: 2) ? "spdy" : "websocket") }
                    }
                }
                try await group.waitForAll()
            }
            // A client that goes away in the middle.
            for _ in 0..<10 {
                _ = try await Program.system("timeout", "-s", "KILL", "0.3").run(
                    [scene.daemon.crictl.path.string, "-r", "unix://\(scene.daemon.socket)", "exec", scene.container]
                        + ["sh", "-c", "sleep 2; echo late"])
            }
            try await eventually("the sessions' descriptors to be closed", within: .seconds(30)) {
                try descriptors(of: pid) <= before
            }
        }
    }

    private func descriptors(of pid: Int32) throws -> Int {
        try Files.list(FilePath("/proc/\(pid)/fd")).count
    }

    @Test func urlsWorkOnceOnly() async throws {
        try await with { scene in
            let answer = try await scene.daemon.runtime {
                try await $0.exec(
                    .with {
                        $0.containerID = scene.container
                        $0.cmd = ["/bin/true"]
                        $0.stdout = true
                    })
            }
            #expect(answer.url.hasPrefix("http://127.0.0.1:"))
            let curl = Program.system(
                "curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Connection: Upgrade", "-H",
                "X-Stream-Protocol-Version: v4.channel.k8s.io")
            // Refused for its protocol, and so not used up.
            #expect(try await curl.run("-H", "Upgrade: h9", answer.url).standardOutput == "400")
            #expect(try await curl.run("-H", "Upgrade: SPDY/3.1", answer.url).standardOutput == "101")
            #expect(try await curl.run("-H", "Upgrade: SPDY/3.1", answer.url).standardOutput == "404")
            let wrong = answer.url.replacing("/exec/", with: "/attach/")
            #expect(try await curl.run("-H", "Upgrade: SPDY/3.1", wrong).standardOutput == "404")
        }
    }
}
