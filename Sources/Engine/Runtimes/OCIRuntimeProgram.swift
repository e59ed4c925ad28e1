internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

/// A program with runc's command line that makes containers instead of this daemon: a runtime handler.
///
/// `run` stays in the foreground, under the same monitor that a container of our own has: that holds its stdio and log and
/// knows its end. What it says of a failure is in a log of its own.
struct OCIRuntimeProgram: Sendable {
    static let outputLimit = 1 << 20
    private static let patience = Duration.seconds(30)
    private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// What every runtime in use takes; what newer versions add, an older one passes over.
    static let specificationVersion = "1.0.2"

    let name: String
    let path: FilePath
    /// Where it keeps its own state.
    let root: FilePath
    let features: RuntimeProgramFeatures
    /// What its `exec` says of `--cgroup`.
    private let commandCgroups: CommandCgroups
    private let environment: [String]

    /// - Parameter criu: the program; runtimes look for that name in their PATH.
    init(name: String, path: FilePath, state: FilePath, criu: FilePath? = nil) async throws {
        self.name = name
        self.path = path
        let folder = criu.map { "\($0.removingLastComponent()):" } ?? ""
        environment = ["PATH=\(folder)\(Self.path)", "LANG=C.UTF-8"]
        root = state.appending("runtimes").appending(name)
        guard let status = try? Syscall.stat(path, follow: true), status.kind == .regular,
            status.permissions & 0o111 != 0
        else {
            throw BerthError.invalid(field: "runtimes.\(name).path", value: "\(path)", rule: "is no program")
        }
        try Files.makeDirectories(root, mode: 0o700)
        // One without this verb is of before it; it has none of what is asked about.
        let output = try? await Self.output(of: [path.string, "features"], environment)
        features =
            output.flatMap { try? StrictJSON.decode(RuntimeProgramFeatures.self, from: $0.bytes, what: "features") }
            ?? RuntimeProgramFeatures()
        let help = try? await Self.output(of: [path.string, "exec", "--help"], environment)
        commandCgroups = CommandCgroups(help: help.map { String(decoding: $0.bytes, as: UTF8.self) } ?? "")
    }

    /// A cgroup for one command below its container's; `nil` where the runtime would not put a command there.
    ///
    /// - Parameter isUnified: cgroup2 alone is used on the host.
    func commandCgroup(below container: Cgroup, isUnified: Bool) -> CommandCgroup? {
        guard commandCgroups == .ofController || isUnified && commandCgroups == .ofPath else { return nil }
        return CommandCgroup(below: container, named: !isUnified)
    }

    /// Whether a command can be put into a cgroup of its own.
    private enum CommandCgroups {
        case none
        /// `--cgroup PATH`, which is one of cgroup2.
        case ofPath
        /// `--cgroup [CONTROLLER:]PATH`
        case ofController

        init(help: String) {
            self =
                !help.contains("--cgroup") ? .none : help.lowercased().contains("controller") ? .ofController : .ofPath
        }
    }

    // MARK: Plans

    /// - Parameters:
    ///   - checkpoint: the directory of CRIU's images that the container is restored from.
    ///   - usesSystemd: the configuration's cgroupsPath is SLICE:PREFIX:NAME.
    func run(
        _ id: String, bundle: FilePath, checkpoint: FilePath?, terminal: Bool, monitor: MonitorOptions,
        stdio: StdioOptions, cgroup: Cgroup, usesSystemd: Bool
    ) -> CommandPlanRequest {
        var arguments = [path.string, "--root", root.string, "--log", log(in: bundle).string, "--log-format", "json"]
        if usesSystemd { arguments.append("--systemd-cgroup") }
        if let checkpoint {
            arguments += ["restore", "--image-path", checkpoint.string, "--work-path", bundle.string]
            arguments += ["--ext-unix-sk", "--file-locks"] + (name == "berth-oci" ? ["--tcp-close"] : [])
        } else {
            arguments.append("run")
        }
        arguments += ["--bundle", bundle.string, "--pid-file", pidFile(in: bundle).string, id]
        var request = CommandPlanRequest(
            id: id, arguments: arguments, environment: environment, terminal: terminal)
        request.monitor = monitor
        request.stdio = stdio
        request.cgroup = cgroup
        return request
    }

    /// - Parameter cgroup: of the command's own, as its `--cgroup` has it.
    func exec(_ command: [String], in id: String, terminal: Bool, cgroup: String?) -> CommandPlanRequest {
        let options =
            (terminal ? ["--tty", "--env", "TERM=xterm"] : []) + (cgroup.map { ["--cgroup", $0] } ?? [])
        var request = CommandPlanRequest(
            id: id, arguments: [path.string, "--root", root.string, "exec"] + options + [id] + command,
            environment: environment, terminal: terminal)
        if terminal { request.stdio = StdioOptions() }
        return request
    }

    // MARK: What it left

    private func pidFile(in bundle: FilePath) -> FilePath { bundle.appending("runtime.pid") }
    private func log(in bundle: FilePath) -> FilePath { bundle.appending("runtime.log") }

    /// The container's first process; `nil` before it runs.
    func process(in bundle: FilePath) -> Int32? {
        (try? Files.readText(pidFile(in: bundle), limit: 64)).flatMap { Int32($0) }
    }

    /// The last error that it wrote down; `nil` for none.
    func failure(in bundle: FilePath) -> String? {
        guard let text = try? Files.readText(log(in: bundle), limit: Self.outputLimit) else { return nil }
        return text.split(separator: "\n").reversed().lazy.compactMap { line -> String? in
            let entry = try? StrictJSON.decode(LogEntry.self, from: Array(line.utf8), what: "log")
            guard let entry, entry.level == "error" || entry.level == "fatal" else { return nil }
            return entry.msg
        }.first
    }

    private struct LogEntry: Decodable {
        var level: String?
        var msg: String?
    }

    /// Writes CRIU's images of a container that runs on.
    func checkpoint(_ id: String, _ options: CheckpointOptions) async throws {
        var arguments = [path.string, "--root", root.string, "checkpoint", "--leave-running", "--image-path"]
        arguments.append(options.imagePath.string)
        if let work = options.workPath { arguments += ["--work-path", work.string] }
        if options.tcpEstablished { arguments.append("--tcp-established") }
        if options.externalUnixSockets { arguments.append("--ext-unix-sk") }
        if options.fileLocks { arguments.append("--file-locks") }
        let result = try await Self.output(
            of: arguments + [id], environment, patience: options.timeout ?? Self.patience)
        guard result.status == 0 else {
            throw BerthError(
                .failedPrecondition, "\(path) checkpoint: \(String(decoding: result.bytes.suffix(4096), as: UTF8.self))"
            )
        }
    }

    /// Succeeds when it is gone.
    func delete(_ id: String) async throws {
        let result = try await Self.output(
            of: [path.string, "--root", root.string, "delete", "--force", id], environment)
        guard result.status != 0 else { return }
        let text = String(decoding: result.bytes.suffix(4096), as: UTF8.self)
        guard !text.contains("does not exist") else { return }
        throw BerthError(.internal, "\(path) could not delete container \(id): \(text)")
    }

    private static func output(
        of arguments: [String], _ environment: [String], patience: Duration = patience
    ) async throws -> (status: Int32, bytes: [UInt8]) {
        let output = try Syscall.memfdCreate("berth-runtime-output")
        let process = try Spawn.spawn(
            executable: FilePath(arguments[0]), arguments: arguments, environment: environment,
            descriptors: [(output.fd, 1), (output.fd, 2)], newGroup: true)
        let ended = Latch()
        let wait = Task {
            let status = try await process.wait()
            ended.open()
            return status
        }
        guard await ended.wait(atMost: patience) else {
            try? Syscall.kill(-process.pid, 9)
            _ = try? await wait.value
            throw BerthError(
                .deadlineExceeded, "\(arguments.joined(separator: " ")) did not end within \(patience)")
        }
        let status = try await wait.value
        _ = try output.fd.seek(offset: 0, from: .start)
        return (status.code, try Files.read(output.fd, limit: outputLimit))
    }
}

/// What `features` prints (runtime-spec, features.md), as far as CRI's Status tells it.
struct RuntimeProgramFeatures: Decodable, Sendable {
    struct Linux: Decodable, Sendable {
        var namespaces: [String]?
        var mountExtensions: MountExtensions?
    }

    struct MountExtensions: Decodable, Sendable {
        struct IDMap: Decodable, Sendable {
            var enabled: Bool?
        }
        var idmap: IDMap?
    }

    var mountOptions: [String]?
    var linux: Linux?

    var hasRecursiveReadonlyMounts: Bool { mountOptions?.contains("rro") ?? false }
    var hasUserNamespaces: Bool {
        linux?.namespaces?.contains("user") == true && linux?.mountExtensions?.idmap?.enabled == true
    }
}
