internal import ArgumentParser
internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

struct Exec: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Runs one more process in a container.",
        discussion: "  berth-oci exec -t mybox sh")

    @Option(help: "Unix socket that receives the master of the process's terminal.")
    var consoleSocket: String?

    @Option(help: "Working directory.")
    var cwd: String?

    @Option(name: [.customShort("e"), .long], help: "NAME=VALUE; may be repeated.")
    var env: [String] = []

    @Flag(name: [.customShort("t"), .long], help: "Give it a terminal.")
    var tty = false

    @Option(name: [.customShort("u"), .long], help: "UID or UID:GID.")
    var user: String?

    @Option(name: [.customShort("g"), .long], help: "Additional group; may be repeated.")
    var additionalGids: [UInt32] = []

    @Option(name: [.customShort("p"), .long], help: "File with the process as JSON, instead of a command.")
    var process: String?

    @Flag(name: [.customShort("d"), .long], help: "Do not wait for its end.")
    var detach = false

    @Option(help: "File to write its process ID to.")
    var pidFile: String?

    @Option(help: "SELinux label.")
    var processLabel: String?

    @Option(help: "AppArmor profile.")
    var apparmor: String?

    @Flag(help: "Set no_new_privs.")
    var noNewPrivs = false

    @Option(name: [.customShort("c"), .long], help: "Capability that it has too; may be repeated.")
    var cap: [String] = []

    @Option(help: "Number of descriptors from 3 on that are passed on.")
    var preserveFds = 0

    @Flag(help: "Do not refuse a paused container.")
    var ignorePaused = false

    @Option(help: "Sub-cgroup of the container's, PATH or CONTROLLER[,...]:PATH; may be repeated.")
    var cgroup: [String] = []

    @Option(help: "Unix socket that receives a pidfd of the process.")
    var pidfdSocket: String?

    @Flag(help: ArgumentHelp("Taken for compatibility.", visibility: .hidden))
    var noSubreaper = false

    @Argument(help: "ID of the container.")
    var id: String

    @Argument(parsing: .captureForPassthrough, help: "Program and its arguments.")
    var command: [String] = []

    func perform(_ globals: GlobalOptions) throws {
        guard (0...1024).contains(preserveFds) else {
            throw BerthError(.invalidArgument, "--preserve-fds: must be from 0 to 1024")
        }
        let runtime = globals.runtime
        let foreground = detach ? nil : try Foreground()
        var options = RunOptions()
        options.consoleSocket = consoleSocket.map { GlobalOptions.absolute($0) }
        options.pidFile = pidFile.map { GlobalOptions.absolute($0) }
        options.preservedDescriptors = preserveFds
        options.pidfdSocket = pidfdSocket.map { GlobalOptions.absolute($0) }
        options.subCgroups = cgroup
        let launched = try runtime.exec(try runtime.container(id), ignorePaused: ignorePaused, options: options) {
            let process = try adjusted($0)
            try checkConsole(terminal: process.terminal == true)
            return process
        }
        guard let foreground else { return }
        Output.end(try foreground.wait(for: launched))
    }

    private func checkConsole(terminal: Bool) throws {
        if terminal, detach, consoleSocket == nil {
            throw BerthError(
                .invalidArgument, "cannot allocate tty if berth-oci will detach without setting console socket")
        }
        if consoleSocket != nil, !terminal || !detach {
            throw BerthError(
                .invalidArgument, "cannot use console socket if berth-oci will not detach or allocate tty")
        }
    }

    private func adjusted(_ original: RuntimeSpec.Process) throws -> RuntimeSpec.Process {
        if let process {
            let bytes: [UInt8]
            do {
                bytes = try Files.read(GlobalOptions.absolute(process), limit: 16 << 20)
            } catch {
                throw BerthError(.invalidArgument, "read \(process)", cause: error)
            }
            return try StrictJSON.decode(RuntimeSpec.Process.self, from: bytes, what: process)
        }
        var result = original
        // Of the container's first process, and not of others.
        result.oomScoreAdj = nil
        result.terminal = tty
        result.consoleSize = nil
        result.args = command.first == "--" ? Array(command.dropFirst()) : command
        if result.args?.isEmpty != false { throw BerthError(.invalidArgument, "exec args cannot be empty") }
        if let cwd { result.cwd = cwd }
        result.env = (result.env ?? []) + env
        if let processLabel { result.selinuxLabel = processLabel }
        if let apparmor { result.apparmorProfile = apparmor }
        if noNewPrivs { result.noNewPrivileges = true }
        try addCapabilities(to: &result)
        try setUser(of: &result)
        return result
    }

    private func addCapabilities(to process: inout RuntimeSpec.Process) throws {
        guard !cap.isEmpty else { return }
        var sets = process.capabilities ?? .init()
        for name in cap {
            guard let capability = Capability(name: name)?.name else {
                throw BerthError.invalid(field: "--cap", value: name, rule: "is no capability")
            }
            sets.bounding = (sets.bounding ?? []) + [capability]
            sets.effective = (sets.effective ?? []) + [capability]
            sets.permitted = (sets.permitted ?? []) + [capability]
            // Where nothing is inheritable nothing can be ambient.
            if sets.inheritable?.isEmpty == false { sets.ambient = (sets.ambient ?? []) + [capability] }
        }
        process.capabilities = sets
    }

    private func setUser(of process: inout RuntimeSpec.Process) throws {
        var account = process.user ?? .init()
        if let user {
            let numbers = user.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
            guard (1...2).contains(numbers.count), let uid = numbers[0] else {
                throw BerthError.invalid(field: "--user", value: user, rule: "must be UID or UID:GID")
            }
            account.uid = uid
            if numbers.count == 2 {
                guard let gid = numbers[1] else {
                    throw BerthError.invalid(field: "--user", value: user, rule: "must be UID or UID:GID")
                }
                account.gid = gid
            }
        }
        if !additionalGids.isEmpty { account.additionalGids = (account.additionalGids ?? []) + additionalGids }
        process.user = account
    }
}
