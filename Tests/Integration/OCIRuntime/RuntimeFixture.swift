internal import Core
internal import LinuxKernel
internal import Synchronization
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The runtimes that each test is run with: ours, and Debian's runc, which proves the test. `Feature` says what the
/// one has and the other has not.
enum RuntimeUnderTest: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case berth = "berth-oci"
    case runc

    var testDescription: String { rawValue }

    func program(root: FilePath) -> Program {
        switch self {
        case .berth: .ours("berth-oci", "--root", root.string)
        case .runc: .system("runc", "--root", root.string)
        }
    }
}

/// A bundle of Debian's busybox with a state root of its own; its containers are deleted when the test lets go of it.
struct OCIFixture: Sendable {
    let mark: String
    let scratch: ScratchDirectory
    let runtime: Program
    var bundle: FilePath { scratch.appending("bundle") }

    static func with<Result: Sendable>(
        _ kind: RuntimeUnderTest, _ body: (OCIFixture) async throws -> Result
    ) async throws -> Result {
        let fixture = try await OCIFixture(kind)
        do {
            let result = try await body(fixture)
            await fixture.close()
            return result
        } catch {
            await fixture.close()
            throw error
        }
    }

    private init(_ kind: RuntimeUnderTest) async throws {
        mark = "oci\(Identifier.random().prefix(8))"
        scratch = try ScratchDirectory(mark)
        runtime = kind.program(root: scratch.appending("state"))
        for folder in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
            _ = try scratch.directory("bundle/rootfs/\(folder)")
        }
        try await Program.system("cp").check("/bin/busybox", bundle.string + "/rootfs/bin/busybox")
        try await Program.system("chroot").check(bundle.string + "/rootfs", "/bin/busybox", "--install", "-s", "/bin")
    }

    private func close() async {
        let list = try? await runtime.run("list", "--quiet")
        for id in list?.lines ?? [] { _ = try? await runtime.run("delete", "--force", String(id)) }
        // A runtime removes its container's cgroup, not the one above it.
        if let cgroup = try? Cgroup(host: CgroupHost.detect(), path: "/\(mark)") {
            try? cgroup.kill()
            try? cgroup.delete()
        }
    }

    /// What each runtime's `spec` writes.
    private static let specifications = Mutex<[FilePath: String]>([:])

    private func specification() async throws -> String {
        if let known = Self.specifications.withLock({ $0[runtime.path] }) { return known }
        let folder = try scratch.directory("spec")
        try await runtime.check("spec", workingDirectory: folder)
        let text = try Files.readText(folder.appending("config.json"))
        Self.specifications.withLock { $0[runtime.path] = text }
        return text
    }

    /// Writes config.json: the runtime's default specification with these arguments, changed by a jq program.
    func configure(_ arguments: [String], _ change: String = ".") async throws {
        let quoted = arguments.map { "\"\($0.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\"" }
        let program = """
            .process.args = [\(quoted.joined(separator: ","))] | .process.terminal = false
            | .linux.cgroupsPath = "/\(mark)/c" | \(change)
            """
        let config = bundle.appending("config.json")
        let changed = try await Program.system("jq").check(program, input: specification()).standardOutput
        try Files.writeAtomically(config, Array(changed.utf8), mode: 0o644)
    }

    /// A jq program: a user namespace, and the cgroups mounted with the option.
    static func cgroupMount(_ option: String) -> String {
        """
        .linux.namespaces += [{"type": "user"}] | .root.readonly = false
        | .linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 65534}] | .linux.gidMappings = .linux.uidMappings
        | .mounts |= map(if .destination == "/sys/fs/cgroup" then .options = ["nosuid", "noexec", "nodev", "\(option)"] else . end)
        """
    }

    func run(_ id: String = "c1") async throws -> Program.Output {
        try await runtime.run("run", "--bundle", bundle.string, id)
    }

    /// Runs `arguments` in a container made of a changed configuration.
    func output(of arguments: [String], _ change: String = ".") async throws -> Program.Output {
        try await configure(arguments, change)
        return try await run()
    }

    /// Runs a script of busybox's shell in a container made of a changed configuration.
    func shell(_ script: String, _ change: String = ".") async throws -> Program.Output {
        try await output(of: ["/bin/sh", "-c", script], change)
    }

    // MARK: Containers that outlive the call that starts them

    /// The runtime with its own options, for a line of a shell.
    var call: String { "\(runtime.path) \(runtime.arguments.joined(separator: " "))" }

    /// What the last `detached` call and its container print.
    var log: FilePath { scratch.appending("log") }

    /// Calls the runtime as an engine does it: its output goes to a file, since the container inherits it.
    func detached(_ verb: String) async throws {
        try await Program.system("sh").check(
            "-c", "\(call) \(verb) > \(log) 2>&1 < /dev/null || { cat \(log) >&2; exit 1; }")
    }

    /// `run --detach` of a changed configuration, as c1.
    func start(_ arguments: [String] = ["/bin/sleep", "1000"], change: String = ".") async throws {
        try await configure(arguments, change)
        try await detached("run --detach --bundle \(bundle) c1")
    }

    /// Runs a script of busybox's shell in the container that runs.
    func exec(_ script: String) async throws -> Program.Output {
        try await runtime.run("exec", "c1", "/bin/sh", "-c", script)
    }

    /// The fields of `state` as strings, read with jq; those that are objects as JSON.
    func state(_ id: String = "c1") async throws -> [String: String] {
        let json = try await runtime.check("state", id).standardOutput
        let lines = try await Program.system("jq").check("-r", "to_entries[] | \"\\(.key)=\\(.value)\"", input: json)
            .lines
        return Dictionary(
            lines.compactMap { line in
                let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
                return parts.count == 2 ? (parts[0], parts[1]) : nil
            }, uniquingKeysWith: { first, _ in first })
    }

    func waitUntilStopped(_ id: String = "c1") async throws {
        try await eventually("the container to stop") { try await state(id)["status"] == "stopped" }
    }

    /// The container's cgroup.
    var cgroup: Cgroup { get throws { try Cgroup(host: CgroupHost.detect(), path: "/\(mark)/c") } }

    /// What a file of the container's cgroup says: that of cgroup v1 or that of v2, where each stands for the same.
    func limit(_ controller: String, v1: String, v2: String) throws -> String {
        let cgroup = try cgroup
        return try cgroup.read(controller, cgroup.isUnified(controller) ? v2 : v1)
    }
}

extension Program.Output {
    /// The lines as strings, the empty ones left out.
    var shown: [String] { lines.map(String.init) }
}
