internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct CrictlTests {
    /// Asked for a runtime with -r, it went to the image service of the configuration file as well.
    @Test func namedRuntimeIsAskedForItsImagesToo() async throws {
        try await Daemon.with { daemon in
            let file = daemon.scratch.appending("crictl.yaml")
            let elsewhere = daemon.scratch.appending("absent.sock")
            try Files.writeAtomically(
                file, Array("runtime-endpoint: unix://\(elsewhere)\nimage-endpoint: unix://\(elsewhere)\n".utf8),
                mode: 0o644)
            let images = try await daemon.crictl.run("images", "-q", environment: ["CRI_CONFIG_FILE": file.string])
            #expect(images.code == 0, "\(images)")
            #expect(images.lines.count == 1)

            let other = try await Program.ours("berth-crictl", "-c", file.string).run("images", "-q")
            #expect(other.code == 1)
            #expect(other.standardError.contains("cannot connect to \(elsewhere)"))
        }
    }

    @Test func eventsAndMetricsAreShown() async throws {
        try await Daemon.with { daemon in
            let file = daemon.scratch.appending("events")
            let output = try FileDescriptor.open(
                file, .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
            defer { try? output.close() }
            let events = try Spawn.spawn(
                executable: daemon.crictl.path, arguments: ["berth-crictl"] + daemon.crictl.arguments + ["events"],
                environment: [], descriptors: [(output, 1)])
            let config = daemon.podConfiguration("shown")
            // Events are those since the call: the first pod may come before it is served.
            let pod = try await daemon.runPod(config)
            var number = 0
            try await eventually("an event of a container's start") {
                number += 1
                _ = try await daemon.startContainer(
                    daemon.containerConfiguration("c\(number)", ["/bin/sleep", "100"]), in: pod, config)
                return try Files.readText(file).contains("CONTAINER_STARTED_EVENT")
            }
            try events.signal(15)
            _ = try await events.wait()
            for line in try Files.readText(file).split(separator: "\n") {
                #expect(line.hasPrefix("{") && line.hasSuffix("}"), "\(line)")
            }

            let metrics = try await daemon.crictl.check("metricsp").standardOutput
            #expect(metrics.contains("container_memory_working_set_bytes") && metrics.contains(pod))
            let known = try await daemon.crictl.check("metricdescs").standardOutput
            #expect(known.contains("container_memory_working_set_bytes"))
        }
    }

    @Test func oneArchiveHoldsOneContainer() async throws {
        let refused = try await Program.ours("berth-crictl").run("checkpoint", "--export", "/tmp/x.tar", "a", "b")
        #expect(refused.code == 64)
        #expect(refused.standardError.contains("--export names one archive"), "\(refused)")
    }
}
