internal import ArgumentParser
internal import Core
internal import Glibc
internal import Logging
internal import SystemPackage

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve until SIGTERM or SIGINT. Containers run on.", shouldDisplay: false)

    @Option(help: "Configuration file. Without it /etc/berth/config.toml is used where it exists.")
    var config: String?

    @Option(help: "Directory of images, snapshots and metadata.")
    var root: String?

    @Option(help: "Directory of sockets and running state; empty after a reboot.")
    var state: String?

    @Option(help: "Unix socket to serve on. By default berth.sock in the state directory.")
    var address: String?

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: String?

    mutating func run() async throws {
        do {
            try await serve()
        } catch {
            FileHandleText.error("berthd: \(error)")
            throw ExitCode(1)
        }
    }

    private func serve() async throws {
        var configuration = try DaemonConfiguration.load(config)
        if let root { configuration.root = root }
        if let state {
            configuration.state = state
            configuration.address = nil
        }
        if let address { configuration.address = address }
        if let logLevel { configuration.logLevel = try DaemonConfiguration.level(logLevel, field: "--log-level") }
        try configuration.validate()
        let level = configuration.logLevel
        LoggingSystem.bootstrap { LineLogHandler(label: $0, level: level) }
        guard geteuid() == 0 else {
            throw BerthError(.permissionDenied, "the daemon has to run as root", advice: "use sudo or the systemd unit")
        }
        umask(0o022)
        try await Daemon(configuration: configuration, logger: Logger(label: "berthd")).run()
    }
}

enum FileHandleText {
    static func error(_ text: String) {
        _ = try? FileDescriptor.standardError.writeAll((text + "\n").utf8)
    }
}
