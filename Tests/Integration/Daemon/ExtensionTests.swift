internal import CRIAPI
internal import GRPCCore
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Plugins, hooks and another runtime, through the daemon's configuration.
@Suite struct ExtensionTests {
    @Test func aPluginOfTheDirectoryHearsOfAPodsLife() async throws {
        let program = try Files.readText(
            FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
                .appending("NRITests/plugin.py"))
        try await Daemon.with(settings: { scratch in
            let log = scratch.appending("plugin.log").string
            try scratch.file("plugins/10-listener", program.replacing("@LOG@", with: log), mode: 0o755)
            return """
                [nri]
                enabled = true
                socket = "\(scratch.path)/nri.sock"
                plugin_directory = "\(scratch.path)/plugins"
                request_timeout_seconds = 10
                """
        }) { daemon in
            let config = daemon.podConfiguration("told")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/true"]), in: pod, config)
            _ = try await daemon.exit(of: container)
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = pod }) }
            let lines = try Files.readText(daemon.scratch.appending("plugin.log")).split(separator: "\n")
            #expect(
                lines == [
                    "listener 10 ", "Configure", "Synchronize", "RunPodSandbox", "CreateContainer",
                    "ValidateContainerAdjustment", "PostCreateContainer", "StartContainer", "PostStartContainer",
                    "StopContainer", "StopPodSandbox", "RemoveContainer", "RemovePodSandbox",
                ])
            let socket = try Syscall.stat(daemon.scratch.appending("nri.sock"))
            #expect(socket.kind == .socket)
            #expect(socket.permissions == 0o600)
        }
    }

    @Test func aContainerOfAnotherRuntimeHasLogAndExec() async throws {
        try await Daemon.with(settings: { _ in
            """
            [runtimes.runc]
            path = "/usr/sbin/runc"
            """
        }) { daemon in
            let config = daemon.podConfiguration("other")
            let pod = try await daemon.runtime {
                try await $0.runPodSandbox(
                    .with {
                        $0.config = config
                        $0.runtimeHandler = "runc"
                    }
                ).podSandboxID
            }
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sh", "-c", "echo hello; exec sleep 1000"]), in: pod, config
            )
            #expect(try await daemon.status(of: container).state == .containerRunning)
            let hostname = try await daemon.exec(container, ["hostname"])
            #expect(String(decoding: hostname.stdout, as: UTF8.self) == "other\n")
            try await eventually("the log") {
                try Files.readText(daemon.scratch.appending("logs/other/main.log")).contains(" stdout F hello")
            }
            // Beside our own, and found again.
            try await daemon.killAndRestart()
            #expect(try await daemon.status(of: container).state == .containerRunning)
            let handlers = try await daemon.runtime { try await $0.status(.init()).runtimeHandlers.map(\.name) }
            #expect(handlers == ["", "berth", "runc"])
        }
    }
}
