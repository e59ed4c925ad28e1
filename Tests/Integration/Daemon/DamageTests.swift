internal import CRIAPI
internal import Core
internal import GRPCCore
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The database is lost, damaged or held, a disk is full, a plugin hangs when its daemon dies.
@Suite("Damage", .serialized) struct DamageTests {
    @Test func withoutItsDatabaseEverythingIsEndedAndNothingIsLeft() async throws {
        try await Daemon.with { daemon in
            let life = try await MortalLife(daemon)
            let config = daemon.podConfiguration("forgotten") { $0.linux.securityContext.namespaceOptions.pid = .pod }
            let pod = try await daemon.runPod(config)
            _ = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sh", "-c", "sleep 1000 & sleep 1000"]), in: pod, config)
            let other = daemon.podConfiguration("other")
            let second = try await daemon.runPod(other)
            _ = try await daemon.createContainer(
                daemon.containerConfiguration("waits", ["/bin/sleep", "1000"]), in: second, other)
            try await daemon.kill()
            for suffix in ["", "-wal", "-shm"] {
                try? Syscall.unlinkat(daemon.scratch.appending("root").appending("meta.db\(suffix)"))
            }
            try await daemon.start()
            try await life.expectNothing("the database was removed", cgroupParent: true)
            try await daemon.importBusybox()
            let again = try await daemon.runPod(config)
            _ = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]), in: again, config)
        }
    }

    /// Zeroes the first page of a table, as a write that was lost leaves it.
    private static let damage = """
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1])
        page, = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (sys.argv[2],)).fetchone()
        size, = db.execute("PRAGMA page_size").fetchone()
        db.close()
        with open(sys.argv[1], "r+b") as file:
            file.seek((page - 1) * size)
            file.write(bytes(size))
        """

    @Test func aDamagedDatabaseIsRepairedFromWhatItAndTheDiskHave() async throws {
        try await Daemon.with { daemon in
            let life = try await MortalLife(daemon)
            let config = daemon.podConfiguration("lucky")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]), in: pod, config)
            let path = daemon.scratch.appending("root").appending("meta.db")

            // Rows of blobs are found again on the disk: nothing is lost.
            try await daemon.stop()
            try await Program.system("python3", "-c", Self.damage).check(path.string, "content")
            try await daemon.start()
            #expect(try await daemon.status(of: container).state == .containerRunning)
            #expect(try await daemon.exec(container, ["/bin/true"]).exitCode == 0)
            _ = try await daemon.startContainer(
                daemon.containerConfiguration("second", ["/bin/sleep", "1000"]), in: pod, config)

            // Records of containers are not: they are ended, the pod stays, and the kubelet starts new ones.
            try await daemon.stop()
            try await Program.system("python3", "-c", Self.damage).check(path.string, "container")
            try await daemon.start()
            #expect(try await daemon.runtime { try await $0.listContainers(.init()).containers } == [])
            let pods = try await daemon.runtime { try await $0.listPodSandbox(.init()).items }
            #expect(pods.map(\.id) == [pod] && pods[0].state == .sandboxReady)
            #expect(try life.things().filter { $0.contains(container) } == [])
            let log = try Files.readText(daemon.logFile, limit: 64 << 20)
            #expect(log.contains("pods and containers whose records are lost are ended"))
            _ = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]), in: pod, config)
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = pod }) }
            try await life.expectNothing("a damaged database")
        }
    }

    @Test func aPluginThatWorksOnWhenItsDaemonDiesIsEnded() async throws {
        try await Daemon.with { daemon in
            let plugins = try daemon.scratch.directory("plugins")
            try daemon.scratch.file(
                "config.toml",
                try Files.readText(daemon.scratch.appending("config.toml")).replacing(
                    "[network]", with: "[network]\ncni_plugin_directories = [\"\(plugins)\"]"))
            try Files.makeDirectories(daemon.scratch.appending("cni"), mode: 0o755)
            try daemon.scratch.file(
                "cni/10-slow.conflist",
                #"{"cniVersion": "1.0.0", "name": "slow", "plugins": [{"type": "slow"}]}"#)
            let plugin = plugins.appending("slow")
            func write(_ add: String) throws {
                let script = """
                    #!/bin/sh
                    case "$CNI_COMMAND" in
                    VERSION) echo '{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}' ;;
                    ADD) \(add) ;;
                    esac
                    """
                try Files.writeAtomically(plugin, Array(script.utf8), mode: 0o755)
            }
            try write("touch \(daemon.scratch.path)/adding; sleep 1000; touch \(daemon.scratch.path)/added")
            try await daemon.killAndRestart()
            let config = daemon.podConfiguration("slow")
            let call = Task { try await daemon.runPod(config) }
            try await eventually("the plugin to work") { Files.exists(daemon.scratch.appending("adding")) }
            try await daemon.killAndRestart()
            _ = try? await call.value
            let left = try ProcessStatus.all().filter { pid in
                let environment = (try? Files.read(FilePath("/proc/\(pid)/environ"), limit: 1 << 20)) ?? []
                return String(decoding: environment, as: UTF8.self).contains(plugins.string)
            }
            #expect(left == [], "the plugin, or what it started, runs still")
            try write(#"echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/24"}]}'"#)
            let pod = try await daemon.runPod(config)
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = pod }) }
        }
    }

    @Test func aFullStateDirectoryIsSaidAndLeavesNothing() async throws {
        try await Daemon.with(image: false) { daemon in
            try await daemon.kill()
            let state = daemon.scratch.appending("state")
            try await Program.system("mount", "-t", "tmpfs", "-o", "size=1M,nr_inodes=400").check("tmpfs", state.string)
            defer { try? Syscall.umount2(state, .detach) }
            try await daemon.start()
            try await daemon.importBusybox()
            let life = try await MortalLife(daemon)
            let config = daemon.podConfiguration("full")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration(
                    "main", ["/bin/sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.05; done"]),
                in: pod, config)
            let before = try life.things()
            try fill(state.appending("filler"))
            for call in [
                { _ = try await daemon.runPod(daemon.podConfiguration("more")) },
                {
                    _ = try await daemon.createContainer(
                        daemon.containerConfiguration("more", ["/bin/sleep", "1000"]), in: pod, config)
                },
            ] as [@Sendable () async throws -> Void] {
                let error = await #expect(throws: RPCError.self) { try await call() }
                #expect(error?.message.lowercased().contains("no space left") == true, "\(String(describing: error))")
                #expect(error?.code == .resourceExhausted)
            }
            let added = try life.things().subtracting(before).filter { !$0.hasSuffix("/filler") }.sorted()
            #expect(added == [])
            // What runs goes on, and its exit is known although there is no room for anything.
            #expect(try await daemon.exec(container, ["/bin/true"]).exitCode == 0)
            _ = try await daemon.runtime {
                try await $0.stopContainer(
                    .with {
                        $0.containerID = container; $0.timeout = 5
                    })
            }
            #expect(try await daemon.exit(of: container).exitCode == 4)
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = pod }) }
            try Syscall.unlinkat(state.appending("filler"))
            try await life.expectNothing("a full state directory")
            let again = try await daemon.runPod(daemon.podConfiguration("more"))
            _ = try await daemon.runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = again }) }
        }
    }

    /// Until not a byte more goes in.
    private func fill(_ path: FilePath) throws {
        let file = try Syscall.open(path, [.writeOnly, .create], mode: 0o600)
        for size in [1 << 20, 4096, 1] {
            let zeroes = [UInt8](repeating: 0, count: size)
            while (try? Files.writeAll(file.fd, zeroes)) != nil {}
        }
    }
}
