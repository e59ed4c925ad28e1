internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct Exec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run a command in a running container",
        usage: "berth-crictl exec [options] [container-id] command [arg ...]",
        discussion: """
            The container's ID is left out where one of --image, --label, --last, --latest, --name, --pod or --state
            selects containers. The exit code is the command's. With --sync or --timeout the command runs to its end and its
            output is shown then (ExecSync); else it is streamed.

            EXAMPLES:
              berth-crictl exec 3f2a91 ls -l /
              berth-crictl exec -it 3f2a91 sh
              berth-crictl exec -s --timeout 5 3f2a91 cat /etc/hosts
              berth-crictl exec --name '^web$' hostname
            """)

    @Flag(name: [.short, .long], help: "Run the command synchronously")
    var sync = false

    @OptionGroup var transport: TransportOption

    @Option(help: "Timeout in seconds; implies --sync")
    var timeout: Int64 = 0

    @Flag(name: [.short, .long], help: "Allocate a pseudo-TTY")
    var tty = false

    @Flag(name: [.short, .long], help: "Keep STDIN open")
    var interactive = false

    @Option(help: "Exec command for all containers matching this name filter regular expression pattern")
    var name: String?

    @Option(name: [.short, .long], help: "Exec command for all containers matching this pod ID filter")
    var pod: String?

    @Option(help: "Exec command for all containers matching this container image filter")
    var image: String?

    @Option(help: "Exec command for all containers matching this container state filter")
    var state: String?

    @Option(
        help: ArgumentHelp(
            "Exec command for all containers matching this key=value label filter", valueName: "key=value"))
    var label: [String] = []

    @Flag(name: [.short, .long], help: "Exec command for the most recently created container")
    var latest = false

    @Option(name: [.customShort("n"), .long], help: "Exec command for all last n containers, 0 for unlimited")
    var last: Int?

    @Flag(name: [.short, .long], help: "Do not print the container ID if multiple containers are selected")
    var quiet = false

    @Flag(name: [.customShort("e"), .long], help: "Ignore errors during command execution")
    var ignoreErrors = false

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("Container ID or the beginning of one, then the command and its arguments", valueName: "arg")
    )
    var arguments: [String]

    private var isSelecting: Bool {
        latest || !label.isEmpty || last != nil || [name, pod, image, state].contains { $0 != nil }
    }

    func validate() throws {
        // What follows the first word is the command's, and so is not seen as an option of this one.
        if ["--help", "-h"].contains(arguments.first) { throw CleanExit.helpRequest(self) }
        if timeout < 0 { throw ValidationError("--timeout must not be negative") }
        if (sync || timeout > 0) && (tty || interactive) {
            throw ValidationError("--sync and --timeout exclude -i and -t")
        }
        let words = arguments.first == "--" ? arguments.count - 1 : arguments.count
        if words < (isSelecting ? 1 : 2) {
            throw ValidationError(isSelecting ? "name a command" : "name a container and a command")
        }
    }

    func run() async throws {
        var words = arguments
        if words.first == "--" { words.removeFirst() }
        let prefix = isSelecting ? nil : words.removeFirst()
        if words.first == "--" { words.removeFirst() }
        let command = words
        let query = ContainerQuery(
            name: name, pod: pod, image: image, state: state, labels: label, latest: latest, last: last)
        let code = try await Connection.open { cri in
            let ids: [String]
            if let prefix {
                ids = [try await cri.containerID(prefix)]
            } else {
                ids = try await query.list(cri).map(\.id)
            }
            guard !ids.isEmpty else { throw BerthError(.notFound, "no container passes the filters") }
            var code: Int32 = 0
            for id in ids {
                if prefix == nil && !quiet { Output.line("\(id):") }
                do {
                    let result = try await exec(command, in: id, cri)
                    if code == 0 { code = result }
                } catch  where ignoreErrors {
                    Output.warn("\(error)")
                }
            }
            return ignoreErrors ? 0 : code
        }
        if code != 0 { throw ExitCode(code) }
    }

    private func exec(_ command: [String], in id: String, _ cri: Connection) async throws -> Int32 {
        if !sync && timeout == 0 { return try await stream(command, in: id, cri) }
        let response = try await doing("exec in container \(id)") {
            try await cri.runtime.execSync(
                .with {
                    $0.containerID = id
                    $0.cmd = command
                    $0.timeout = timeout
                }, options: Session.current.acting)
        }
        TerminalOutput.standardOutput.write(Array(response.stdout))
        TerminalOutput.standardError.write(Array(response.stderr))
        return response.exitCode
    }

    private func stream(_ command: [String], in id: String, _ cri: Connection) async throws -> Int32 {
        let response = try await doing("exec in container \(id)") {
            try await cri.runtime.exec(
                .with {
                    $0.containerID = id
                    $0.cmd = command
                    $0.tty = tty
                    $0.stdin = interactive
                    $0.stdout = true
                    $0.stderr = !tty
                }, options: Session.current.asking)
        }
        return try await StreamJoining.run(
            response.url, transport: transport.transport, stdin: interactive, tty: tty)
    }
}
