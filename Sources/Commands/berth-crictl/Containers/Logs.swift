internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Fetch the logs of a container",
        discussion: """
            Reads the container's log file itself, so it runs on the node.

            EXAMPLES:
              berth-crictl logs --tail 20 3f2a91
              berth-crictl logs -f 3f2a91
              berth-crictl logs --since 5m -t 3f2a91
            """)

    @Flag(name: [.short, .long], help: "Follow log output")
    var follow = false

    @Flag(name: [.short, .long], help: "Print the logs of the previous instance of the container, if there was one")
    var previous = false

    @Flag(name: [.short, .long], help: "Let the runtime reopen the container's log first")
    var reopen = false

    @Option(parsing: .unconditional, help: "Number of lines to show from the end of the logs. Defaults to all")
    var tail = -1

    @Option(parsing: .unconditional, help: "Maximum bytes of logs to return. Defaults to no limit")
    var limitBytes = -1

    @Option(help: "Show logs since timestamp (e.g. 2013-01-02T13:23:37) or relative (e.g. 42m for 42 minutes)")
    var since: String?

    @Flag(name: [.short, .long], help: "Show timestamps")
    var timestamps = false

    @Option(name: [.short, .long], help: "Show specified stream (stdout or stderr). Defaults to both")
    var stream: String?

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "container-id"))
    var container: String

    func run() async throws {
        var options = LogOptions()
        options.timestamps = timestamps
        options.limitBytes = limitBytes >= 0 ? limitBytes : nil
        options.since = try since.map { try Timestamp(since: $0) }
        if let stream {
            guard let known = LogLine.Stream(rawValue: stream) else {
                throw BerthError.invalid(field: "--stream", value: stream, rule: "must be stdout or stderr")
            }
            guard tail < 0 else { throw BerthError(.invalidArgument, "--tail and --stream exclude each other") }
            options.stream = known
        }
        let filter = LogFilter(options)
        try await Connection.open { cri in
            let id = try await cri.containerID(container)
            if reopen {
                try await doing("reopen log of container \(id)") {
                    _ = try await cri.runtime.reopenContainerLog(
                        .with { $0.containerID = id }, options: Session.current.asking)
                }
            }
            let status = try await cri.containerStatus(id).status
            try await show(path: try path(of: status), of: id, filter, cri)
        }
    }

    private func path(of status: Runtime_V1_ContainerStatus) throws -> String {
        let path = status.logPath
        guard !path.isEmpty else {
            throw BerthError(
                .failedPrecondition, "container \(status.id) has no log",
                advice: "log_directory of the pod and log_path of the container set it")
        }
        guard previous else { return path }
        // A kubelet names logs DIRECTORY/ATTEMPT.log.
        guard status.metadata.attempt > 0, let slash = path.lastIndex(of: "/"), let dot = path.lastIndex(of: "."),
            slash < dot
        else { throw BerthError(.notFound, "container \(status.metadata.name) has no previous instance") }
        return "\(path[...slash])\(status.metadata.attempt - 1)\(path[dot...])"
    }

    private func show(path: String, of id: String, _ options: LogFilter, _ cri: Connection) async throws {
        var filter = options
        var file = try LogFile(path: path)
        if tail >= 0 { try file.skipToLast(tail) }
        var isRunning = true
        var pauses = 0
        while !filter.isFull {
            let bytes = try file.read()
            if !bytes.isEmpty {
                filter.add(bytes).forEach(Self.write)
                continue
            }
            guard follow else { break }
            if try file.followRotation() { continue }
            // What was written before the container ended is read once more after it is known to have ended.
            guard isRunning else { break }
            try await Task.sleep(for: .milliseconds(100))
            pauses += 1
            if pauses.isMultiple(of: 5) { isRunning = await isStillRunning(id, cri) }
        }
        filter.finish().forEach(Self.write)
        if let first = filter.malformed.first {
            Output.warn("\(filter.malformed.count) lines of \(path) are not in CRI's format: \(first)")
        }
    }

    /// A container that was removed has ended.
    private func isStillRunning(_ id: String, _ cri: Connection) async -> Bool {
        guard let status = try? await cri.containerStatus(id).status else { return false }
        return status.state == .containerRunning || status.state == .containerCreated
    }

    private static func write(_ output: LogFilter.Output) {
        switch output.stream {
        case .stdout: TerminalOutput.standardOutput.write(output.bytes)
        case .stderr: TerminalOutput.standardError.write(output.bytes)
        }
    }
}
