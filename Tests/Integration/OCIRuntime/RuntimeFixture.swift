internal import Core
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The runtimes that each test is run with: ours, and Debian's runc, which proves the test.
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

    /// Writes config.json: runc's default specification with these arguments, changed by a jq program.
    func configure(_ arguments: [String], _ change: String = ".") async throws {
        _ = try await Program.system("rm").run("-f", bundle.string + "/config.json")
        try await runtime.check("spec", workingDirectory: bundle)
        let quoted = arguments.map { "\"\($0.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\"" }
        let program = """
            .process.args = [\(quoted.joined(separator: ","))] | .process.terminal = false
            | .linux.cgroupsPath = "/\(mark)/c" | \(change)
            """
        let config = bundle.appending("config.json")
        let changed = try await Program.system("jq").check(program, config.string).standardOutput
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
}
