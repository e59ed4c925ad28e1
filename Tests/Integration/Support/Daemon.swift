internal import CRIAPI
internal import Core
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import LinuxKernel
internal import Networking
internal import Synchronization
import SystemPackage
internal import TestSupport

/// A berthd of the test's own. Its directories, socket, bridge and cgroup parent have names of their own, so that several
/// run side by side; when the test lets go of it, its pods, process, bridge and files are removed.
actor Daemon {
    /// Part of every name: directory, cgroups, bridge.
    let mark: String
    let scratch: ScratchDirectory
    let subnet: String
    private var process: ChildProcess

    nonisolated var socket: FilePath { scratch.appending("berth.sock") }
    nonisolated var logFile: FilePath { scratch.appending("berthd.log") }
    nonisolated var cgroupParent: String { "/\(mark)" }
    /// Both endpoints: what /etc/crictl.yaml of this machine says counts otherwise.
    nonisolated var crictl: Program {
        .ours("berth-crictl", "-r", "unix://\(socket)", "-i", "unix://\(socket)")
    }
    nonisolated var ctr: Program { .ours("berth-ctr", "-a", socket.string, "-n", "k8s.io") }

    /// Starts a daemon and runs `body` with it; whatever happens, nothing of it is left behind.
    ///
    /// - Parameter settings: more of its configuration, of the directory that it has.
    static func with<Result: Sendable>(
        image: Bool = true, network: (@Sendable (Daemon.Names) throws -> String)? = nil,
        settings: @escaping @Sendable (ScratchDirectory) throws -> String = { _ in "" },
        _ body: (Daemon) async throws -> sending Result
    ) async throws -> Result {
        let daemon = try await Daemon(network: network ?? Self.network, settings: settings)
        do {
            if image { try await daemon.importBusybox() }
            let result = try await body(daemon)
            await daemon.close()
            return result
        } catch {
            let log = (try? Files.readText(daemon.logFile)) ?? ""
            print("berthd's log of \(daemon.mark):\n\(log.suffix(8000))")
            await daemon.close()
            throw error
        }
    }

    /// Those of daemons that run at once differ, also mostly those of two test runs.
    private static let subnets = Atomic<Int>(.random(in: 0..<250))

    /// What a daemon's configuration is written with.
    struct Names {
        let scratch: ScratchDirectory
        let mark: String
        let subnet: String
    }

    private static let network: @Sendable (Names) throws -> String = {
        """
        bridge = "\($0.mark)"
        subnets = ["\($0.subnet)"]
        cni_config_directory = "\($0.scratch.path)/cni"
        """
    }

    private init(
        network: @Sendable (Names) throws -> String, settings: @Sendable (ScratchDirectory) throws -> String
    ) async throws {
        subnet = "10.231.\(Self.subnets.add(1, ordering: .relaxed).newValue % 250 + 1).0/24"
        mark = "it\(Identifier.random().prefix(8))"
        scratch = try ScratchDirectory(mark)
        try scratch.file(
            "config.toml",
            """
            [network]
            \(network(Names(scratch: scratch, mark: mark, subnet: subnet)))

            [pods]
            cgroup_parent = "/\(mark)"

            \(settings(scratch))
            """)
        process = try Self.start(scratch)
        try await waitUntilReady()
    }

    private static func start(_ scratch: ScratchDirectory, failpoints: String? = nil) throws -> ChildProcess {
        let log = try FileDescriptor.open(
            scratch.appending("berthd.log"), .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
        defer { try? log.close() }
        var environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        if let failpoints { environment.append("BERTH_FAILPOINTS=\(failpoints)") }
        return try Spawn.spawn(
            executable: Program.folder.appending("berthd"),
            arguments: [
                "berthd", "--config", scratch.appending("config.toml").string, "--root",
                scratch.appending("root").string,
                "--state", scratch.appending("state").string, "--address", scratch.appending("berth.sock").string,
                "--log-level", "debug",
            ],
            environment: environment, descriptors: [(log, 1), (log, 2)], newSession: true)
    }

    private func waitUntilReady() async throws {
        try await eventually("berthd of \(mark) to answer", within: .seconds(20)) {
            guard Files.exists(socket) else { return false }
            return (try? await runtime { try await $0.version(.init()) }) != nil
        }
    }

    /// SIGKILL, then a new daemon on the same directories.
    func killAndRestart() async throws {
        try await kill()
        process = try Self.start(scratch)
        try await waitUntilReady()
    }

    func kill() async throws {
        try process.signal(9)
        _ = try await process.wait()
    }

    func start() async throws {
        process = try Self.start(scratch)
        try await waitUntilReady()
    }

    /// Starts it so that it dies at the steps (`Failpoint`) that are lines of `failpoints` at that moment. Returns when it
    /// serves, or has died already.
    func start(failpoints: FilePath) async throws {
        try? Syscall.unlinkat(socket)
        process = try Self.start(scratch, failpoints: "file:\(failpoints)")
        try await eventually("berthd of \(mark) to serve", within: .seconds(20)) {
            // Who can connect is answered, if not at once.
            !isAlive || (try? Syscall.connect(socket, .stream).close()) != nil
        }
    }

    var isAlive: Bool { ProcessStatus.read(process.pid)?.isAlive == true }

    /// Waits for an end that came by itself.
    ///
    /// - Returns: the failpoint that ended it.
    func died() async throws -> String {
        guard case .signalled(9) = try await process.wait() else {
            throw BerthError(.internal, "berthd of \(mark) ended otherwise than at a failpoint")
        }
        let log = try Files.readText(logFile, limit: 64 << 20)
        guard let line = log.split(separator: "\n").last(where: { $0.hasPrefix("killed at failpoint ") }) else {
            throw BerthError(.internal, "berthd of \(mark) was killed, but by no failpoint")
        }
        return String(line.split(separator: " ").last ?? "")
    }

    /// SIGTERM, and waits.
    func stop() async throws {
        try process.signal(15)
        _ = try await process.wait()
    }

    var pid: Int32 { process.pid }

    private func close() async {
        try? await removeAllPods()
        try? process.signal(15)
        _ = try? await process.wait()
        try? await removeNetwork()
        // One that CNI plugins made.
        _ = try? await Program.system("ip", "link", "delete", "\(mark)c").run()
        for top in (try? Files.list("/sys/fs/cgroup")) ?? [] {
            let folder = FilePath("/sys/fs/cgroup").appending(top).appending(mark)
            removeCgroup(folder)
        }
        removeCgroup(FilePath("/sys/fs/cgroup").appending(mark))
    }

    /// The built-in network's bridge with its rules, and the port mappings of a daemon that was killed.
    private func removeNetwork() async throws {
        let ranges = [[AddressRange(subnet: try IPAddressPrefix(subnet))]]
        try await BuiltinNetwork(
            configuration: BuiltinNetworkConfiguration(placement: .fixed(bridge: mark, ranges: ranges)),
            stateDirectory: scratch.appending("state").appending("network")
        ).removeAll()
    }

    private func removeCgroup(_ folder: FilePath) {
        guard let names = try? Files.list(folder) else { return }
        for name in names {
            let child = folder.appending(name)
            if (try? Syscall.stat(child))?.kind == .directory { removeCgroup(child) }
        }
        try? Syscall.unlinkat(folder, removeDirectory: true)
    }

    func removeAllPods() async throws {
        for pod in try await runtime({ try await $0.listPodSandbox(.init()).items }) {
            _ = try await runtime { try await $0.stopPodSandbox(.with { $0.podSandboxID = pod.id }) }
            _ = try await runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = pod.id }) }
        }
    }

    // MARK: - CRI

    typealias RuntimeClient = Runtime_V1_RuntimeService.Client<HTTP2ClientTransport.Posix>
    typealias ImageClient = Runtime_V1_ImageService.Client<HTTP2ClientTransport.Posix>

    nonisolated func runtime<Result: Sendable>(
        _ body: @Sendable (RuntimeClient) async throws -> Result
    ) async throws -> Result {
        try await withGRPCClient(transport: transport()) { try await body(RuntimeClient(wrapping: $0)) }
    }

    nonisolated func images<Result: Sendable>(
        _ body: @Sendable (ImageClient) async throws -> Result
    ) async throws -> Result {
        try await withGRPCClient(transport: transport()) { try await body(ImageClient(wrapping: $0)) }
    }

    private nonisolated func transport() throws -> HTTP2ClientTransport.Posix {
        try .http2NIOPosix(target: .unixDomainSocket(path: socket.string), transportSecurity: .plaintext)
    }

    // MARK: - Pods

    static let image = "docker.io/library/busybox:integration"

    func importBusybox() async throws {
        let archive = scratch.appending("busybox.tar")
        try await Program.ours("berth-ctr").check(
            "image", "build-rootfs", "--busybox", "/bin/busybox", "--tag", Self.image, "--output", archive.string)
        try await ctr.check("image", "import", archive.string)
    }

    nonisolated func podConfiguration(
        _ name: String, attempt: UInt32 = 0, _ change: (inout Runtime_V1_PodSandboxConfig) -> Void = { _ in }
    ) -> Runtime_V1_PodSandboxConfig {
        var config = Runtime_V1_PodSandboxConfig.with {
            $0.metadata = .with {
                $0.name = name
                $0.uid = "uid-\(name)"
                $0.namespace = "integration"
                $0.attempt = attempt
            }
            $0.hostname = name
            $0.logDirectory = scratch.appending("logs").appending(name).string
            $0.linux = .with { $0.cgroupParent = cgroupParent }
        }
        change(&config)
        return config
    }

    nonisolated func containerConfiguration(
        _ name: String, _ command: [String], _ change: (inout Runtime_V1_ContainerConfig) -> Void = { _ in }
    ) -> Runtime_V1_ContainerConfig {
        var config = Runtime_V1_ContainerConfig.with {
            $0.metadata = .with { $0.name = name }
            $0.image = .with { $0.image = Self.image }
            $0.command = command
            $0.logPath = "\(name).log"
        }
        change(&config)
        return config
    }

    func runPod(_ config: Runtime_V1_PodSandboxConfig) async throws -> String {
        try await runtime { try await $0.runPodSandbox(.with { $0.config = config }).podSandboxID }
    }

    /// Creates and starts a container.
    func startContainer(
        _ container: Runtime_V1_ContainerConfig, in pod: String, _ config: Runtime_V1_PodSandboxConfig
    ) async throws -> String {
        let id = try await createContainer(container, in: pod, config)
        _ = try await runtime { try await $0.startContainer(.with { $0.containerID = id }) }
        return id
    }

    nonisolated func removeContainer(_ id: String) async throws {
        _ = try await runtime { try await $0.removeContainer(.with { $0.containerID = id }) }
    }

    /// With its containers.
    nonisolated func removePod(_ id: String) async throws {
        _ = try await runtime { try await $0.removePodSandbox(.with { $0.podSandboxID = id }) }
    }

    func createContainer(
        _ container: Runtime_V1_ContainerConfig, in pod: String, _ config: Runtime_V1_PodSandboxConfig
    ) async throws -> String {
        try await runtime {
            try await $0.createContainer(
                .with {
                    $0.podSandboxID = pod
                    $0.config = container
                    $0.sandboxConfig = config
                }
            ).containerID
        }
    }

    func status(of container: String) async throws -> Runtime_V1_ContainerStatus {
        try await runtime { try await $0.containerStatus(.with { $0.containerID = container }).status }
    }

    /// Waits until it has exited and tells its status.
    func exit(of container: String) async throws -> Runtime_V1_ContainerStatus {
        try await eventually("container \(container.prefix(12)) to exit") {
            try await status(of: container).state == .containerExited
        }
        return try await status(of: container)
    }

    func exec(_ container: String, _ command: [String], timeout: Int64 = 10) async throws -> Runtime_V1_ExecSyncResponse
    {
        try await runtime {
            try await $0.execSync(
                .with {
                    $0.containerID = container
                    $0.cmd = command
                    $0.timeout = timeout
                })
        }
    }

    /// Everything on this host that bears this daemon's mark.
    nonisolated func snapshot() throws -> HostSnapshot {
        try HostSnapshot(of: scratch.appending("state"), scratch.appending("root").appending("snapshots"), mark: mark)
    }
}
