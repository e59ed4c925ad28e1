internal import Core
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport

/// A berthd for tests of what it keeps: it runs no pods, may be killed at a failpoint, and its directories may lie on a small
/// filesystem of the test's own.
final class StoreDaemon {
    let scratch: ScratchDirectory
    /// What `--root` names.
    let root: FilePath
    private var process: ChildProcess?

    var socket: FilePath { scratch.appending("berth.sock") }
    var log: FilePath { scratch.appending("berthd.log") }
    /// Both endpoints: what /etc/crictl.yaml of this machine says counts otherwise.
    var crictl: Program { .ours("berth-crictl", "-r", "unix://\(socket)", "-i", "unix://\(socket)") }
    var ctr: Program { .system("ctr", "-a", socket.string, "-n", "k8s.io") }

    init(_ scratch: ScratchDirectory, root: FilePath) {
        self.scratch = scratch
        self.root = root
    }

    deinit { try? process?.signal(9) }

    /// Starts it and waits until it answers, or has died at a failpoint.
    func start(failpoints: String? = nil, snapshotter: String = "overlayfs") async throws {
        try scratch.file(
            "config.toml",
            """
            [images]
            snapshotter = "\(snapshotter)"
            [network]
            cni_config_directory = "\(scratch.path)/cni"
            """)
        let output = try FileDescriptor.open(
            log, .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
        defer { try? output.close() }
        var environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        if let failpoints { environment.append("BERTH_FAILPOINTS=\(failpoints)") }
        try? Syscall.unlinkat(socket)
        let started = try Spawn.spawn(
            executable: Program.folder.appending("berthd"),
            arguments: [
                "berthd", "--config", scratch.appending("config.toml").string, "--root", root.string, "--state",
                scratch.appending("state").string, "--address", socket.string, "--log-level", "debug",
            ],
            environment: environment, descriptors: [(output, 1), (output, 2)], newSession: true)
        process = started
        try await eventually("berthd to serve", within: .seconds(20)) {
            Files.exists(socket) || ProcessStatus.read(started.pid)?.isAlive != true
        }
    }

    /// SIGTERM, and waits. - Throws: if it was dead already.
    func stop() async throws {
        guard let process else { return }
        self.process = nil
        try process.signal(15)
        // Calls under way have five seconds.
        try? await eventually("berthd to end", within: .seconds(15)) {
            ProcessStatus.read(process.pid)?.isAlive != true
        }
        try? process.signal(9)
        let end = try await process.wait()
        guard case .exited(0) = end else { throw BerthError(.internal, "berthd ended with \(end)") }
    }

    func kill() async throws {
        guard let process else { return }
        self.process = nil
        try? process.signal(9)
        _ = try await process.wait()
    }

    /// Waits for the end that a failpoint has brought.
    func died() async throws {
        guard let process else { return }
        self.process = nil
        do {
            try await eventually("berthd to die at its failpoint") {
                ProcessStatus.read(process.pid)?.isAlive != true
            }
        } catch {
            try? process.signal(15)
            throw error
        }
        let end = try await process.wait()
        guard case .signalled(9) = end else { throw BerthError(.internal, "berthd ended with \(end)") }
    }
}
