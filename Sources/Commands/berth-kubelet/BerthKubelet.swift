internal import ArgumentParser
internal import Foundation
internal import GRPCCore
internal import Glibc
internal import Kubelet
internal import Logging
internal import SocketTransport
internal import SystemPackage

@main
struct BerthKubelet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "berth-kubelet",
        abstract: "Runs the pods of a manifest directory on any CRI runtime.",
        discussion: """
            Every .yaml, .yml, .json or .manifest file of the directory holds v1 Pods. A new file starts its pods, a \
            changed one replaces them, a removed one stops and removes them. When berth-kubelet itself ends, by \
            SIGTERM or otherwise, the pods run on and are taken over by the next one.

            Examples:
              berth-kubelet --standalone --manifests /etc/berth/manifests --runtime unix:///run/berth/berth.sock
              curl http://127.0.0.1:10255/pods
            """)

    @Flag(help: "Run without a cluster, on the manifest directory alone (the only mode so far).")
    var standalone = false

    @Option(help: ArgumentHelp("Directory of pod manifests.", valueName: "dir"))
    var manifests: String

    @Option(help: ArgumentHelp("Socket of the CRI runtime.", valueName: "unix://path"))
    var runtime = "unix:///run/berth/berth.sock"

    @Option(help: ArgumentHelp("Directory of volumes and other pod files.", valueName: "dir"))
    var rootDir = "/var/lib/berth-kubelet"

    @Option(help: ArgumentHelp("Directory of container logs.", valueName: "dir"))
    var logDir = "/var/log/pods"

    @Option(help: ArgumentHelp("Address of /healthz, /pods, /metrics and /containerLogs.", valueName: "ip"))
    var address = "127.0.0.1"

    @Option(help: "Port of the HTTP endpoints; 0 for none.")
    var port = 10255

    @Option(help: ArgumentHelp("Name of the node (default: the host name).", valueName: "name"))
    var nodeName: String?

    @Option(help: ArgumentHelp("Address of the node (default: the first one that is not loopback).", valueName: "ip"))
    var nodeIP: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Name servers of pods with dnsPolicy ClusterFirst.", valueName: "ip"))
    var clusterDns: [String] = []

    @Option(help: ArgumentHelp("Domain of the cluster's names.", valueName: "domain"))
    var clusterDomain = "cluster.local"

    @Option(help: ArgumentHelp("Where the node's name servers are read.", valueName: "file"))
    var resolvConf = "/etc/resolv.conf"

    @Option(help: ArgumentHelp("Cgroup below which kubepods is made.", valueName: "path"))
    var cgroupRoot = "/"

    @Option(help: ArgumentHelp("cgroupfs or systemd (default: what the runtime says).", valueName: "driver"))
    var cgroupDriver: CgroupDriver?

    @Flag(inversion: .prefixedNo, help: "Give containers without a seccomp profile the runtime's default one.")
    var seccompDefault = true

    @Flag(help: "Stop and remove all pods on SIGTERM or SIGINT instead of leaving them running.")
    var stopPodsOnExit = false

    @Option(
        help: ArgumentHelp(
            "First delay between restarts of a failing container, doubling each time.", valueName: "seconds"))
    var restartBackoff = 10.0

    @Option(help: ArgumentHelp("Longest delay between restarts.", valueName: "seconds"))
    var maxRestartBackoff = 300.0

    @Option(help: ArgumentHelp("Size at which a container's log is rotated.", valueName: "MiB"))
    var logMaxSize = 10

    @Option(help: ArgumentHelp("Log files kept of each container.", valueName: "count"))
    var logMaxFiles = 5

    @Option(help: "Least level of what is logged.")
    var logLevel: LogLevel = .info

    enum CgroupDriver: String, ExpressibleByArgument, CaseIterable { case cgroupfs, systemd }

    enum LogLevel: String, ExpressibleByArgument, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    func validate() throws {
        guard standalone else {
            throw ValidationError("--standalone is required: berth-kubelet has no cluster mode yet")
        }
        var info = stat()
        guard stat(manifests, &info) == 0, info.st_mode & S_IFMT == S_IFDIR else {
            throw ValidationError("--manifests: \"\(manifests)\" is not a directory")
        }
        guard socket != nil else {
            throw ValidationError("--runtime: \"\(runtime)\" must be unix://PATH with an absolute path")
        }
        for (name, path) in [("root-dir", rootDir), ("log-dir", logDir)] where !path.hasPrefix("/") {
            throw ValidationError("--\(name): \"\(path)\" must be an absolute path")
        }
        guard (0...65535).contains(port) else { throw ValidationError("--port: \(port) must be between 0 and 65535") }
        guard restartBackoff > 0, maxRestartBackoff >= restartBackoff else {
            throw ValidationError("--restart-backoff must be positive and at most --max-restart-backoff")
        }
        guard logMaxSize > 0, logMaxFiles >= 2 else {
            throw ValidationError("--log-max-size must be positive and --log-max-files at least 2")
        }
    }

    private var socket: String? {
        let path = runtime.hasPrefix("unix://") ? String(runtime.dropFirst("unix://".count)) : runtime
        return path.hasPrefix("/") ? path : nil
    }

    func run() async throws {
        let level = Logger.Level(rawValue: logLevel.rawValue) ?? .info
        LoggingSystem.bootstrap { _ in LineLogHandler(level: level) }
        let log = Logger(label: "berth-kubelet")
        guard getuid() == 0 else { throw ValidationError("berth-kubelet must run as root") }
        let client = GRPCClient(
            // A runtime that restarts is found again at once.
            transport: try SocketTransport.client(socket ?? runtime, longestPause: .seconds(2)))
        let agent = NodeAgent(configuration: try settings(), runtime: CRIRuntimeClient(client), log: log)
        let server = port == 0 ? nil : KubeletServer(agent)

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.runConnections() }
            let work = Task {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await agent.run() }
                    if let server { group.addTask { try await server.run() } }
                    // The server has nothing to say once the agent has ended, and the other way round.
                    defer { group.cancelAll() }
                    try await group.next()
                }
            }
            let signals = TerminationSignals { work.cancel() }
            defer { signals.stop() }
            do {
                try await work.value
            } catch is CancellationError {
                log.debug("cancelled")
            }
            client.beginGracefulShutdown()
            group.cancelAll()
        }
    }

    private func settings() throws -> KubeletConfiguration {
        let name = nodeName ?? ProcessInfo.processInfo.hostName.lowercased()
        let manifests = FilePath(URL(fileURLWithPath: manifests).standardizedFileURL.path)
        var settings = KubeletConfiguration(
            manifests: manifests, nodeName: name, nodeIP: nodeIP ?? NodeAddress.first() ?? "127.0.0.1")
        settings.root = FilePath(rootDir).lexicallyNormalized()
        settings.logs = FilePath(logDir).lexicallyNormalized()
        settings.address = address
        settings.port = port
        settings.clusterDNS = clusterDns
        settings.clusterDomain = clusterDomain
        settings.resolvConf = FilePath(resolvConf)
        settings.cgroupRoot = cgroupRoot
        settings.cgroupDriver = cgroupDriver.map { $0 == .systemd ? .systemd : .cgroupfs }
        settings.seccompDefault = seccompDefault
        settings.stopPodsOnExit = stopPodsOnExit
        settings.backOffBase = restartBackoff
        settings.backOffLimit = maxRestartBackoff
        settings.logMaxSize = Int64(logMaxSize) << 20
        settings.logMaxFiles = logMaxFiles
        return settings
    }
}
