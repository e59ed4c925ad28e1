internal import CRIAPI
internal import LinuxKernel
internal import TestSupport
internal import Testing

@Suite struct RestartTests {
    @Test func killedDaemonFindsEveryContainerAsItIs() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("survivor")
            let pod = try await daemon.runPod(config)
            let running = try await daemon.startContainer(
                daemon.containerConfiguration(
                    "running", ["/bin/sh", "-c", "n=0; while sleep 0.1; do n=$((n+1)); echo $n; done"]),
                in: pod, config)
            let ending = try await daemon.startContainer(
                daemon.containerConfiguration("ending", ["/bin/sh", "-c", "sleep 1; exit 42"]), in: pod, config)
            let created = try await daemon.createContainer(
                daemon.containerConfiguration("created", ["/bin/sleep", "1000"]), in: pod, config)

            try await daemon.kill()
            // `ending` ends while no daemon is there.
            try await Task.sleep(for: .milliseconds(1500))
            try await daemon.start()

            #expect(try await daemon.status(of: running).state == .containerRunning)
            let ended = try await daemon.exit(of: ending)
            #expect(ended.exitCode == 42)
            #expect(try await daemon.status(of: created).state == .containerCreated)
            let answer = try await daemon.exec(running, ["/bin/echo", "still here"])
            #expect(String(decoding: answer.stdout, as: UTF8.self) == "still here\n")
            _ = try await daemon.runtime { try await $0.startContainer(.with { $0.containerID = created }) }
            #expect(try await daemon.status(of: created).state == .containerRunning)

            let log = try Files.readText(
                daemon.scratch.appending("logs").appending("survivor").appending("running.log"))
            let numbers = log.split(separator: "\n").compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
            #expect(numbers == Array(1...max(numbers.count, 1)), "no line is lost or doubled over the restart")
        }
    }

    @Test func killInTheMiddleOfCreatingLosesNothing() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("interrupted")
            let pod = try await daemon.runPod(config)
            // Kill it at different points of a create; the retry of the same request has to succeed.
            for delay in [1, 5, 15, 40] {
                let name = "c\(delay)"
                let container = daemon.containerConfiguration(name, ["/bin/sleep", "1000"])
                let create = Task { try await daemon.createContainer(container, in: pod, config) }
                try await Task.sleep(for: .milliseconds(delay))
                try await daemon.killAndRestart()
                _ = try? await create.value
                let existing = try await daemon.runtime { try await $0.listContainers(.init()).containers }
                for found in existing where found.metadata.name == name {
                    _ = try await daemon.runtime { try await $0.removeContainer(.with { $0.containerID = found.id }) }
                }
                let retried = try await daemon.startContainer(container, in: pod, config)
                #expect(try await daemon.status(of: retried).state == .containerRunning)
            }
        }
    }
}
