internal import Core
internal import LinuxKernel
internal import Subprocess
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Debian's podman over storage of its own, with an image `localhost/box:1` of busybox and one of the runtimes.
///
/// The runtime keeps its states where it does by default, since podman's own clean-up calls it without its flags.
struct PodmanFixture: Sendable {
    static let image = "localhost/box:1"
    let mark: String
    let scratch: ScratchDirectory
    private let podman: Program
    private let environment: [Environment.Key: String]

    static func with(_ kind: RuntimeUnderTest, _ body: (PodmanFixture) async throws -> Void) async throws {
        let fixture = try PodmanFixture(kind)
        do {
            try await fixture.makeImage()
            try await body(fixture)
            await fixture.close()
        } catch {
            await fixture.close()
            throw error
        }
    }

    private init(_ kind: RuntimeUnderTest) throws {
        mark = "podman\(Identifier.random().prefix(8))"
        scratch = try ScratchDirectory(mark)
        podman = .system(
            "podman", "--root", scratch.appending("storage").string, "--runroot", scratch.appending("run").string,
            "--tmpdir", scratch.appending("tmp").string, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
            "--events-backend", "file", "--runtime", kind.program(root: "").path.string)
        environment = try kind == .runc ? ["CONTAINERS_CONF": Self.lowLimits(in: scratch)] : [:]
    }

    /// podman asks for a million open files. Without CAP_SYS_RESOURCE that may be above what can be set, and there runc
    /// fails where ours clamps; limits that any machine allows let runc prove the rest of a test.
    private static func lowLimits(in scratch: ScratchDirectory) throws -> String {
        let limits = #"default_ulimits = ["nofile=512:1024", "nproc=512:1024"]"#
        return try scratch.file("containers.conf", "[containers]\n\(limits)\n").string
    }

    private func makeImage() async throws {
        for folder in ["bin", "etc", "tmp"] { _ = try scratch.directory("rootfs/\(folder)") }
        let root = scratch.appending("rootfs").string
        let archive = scratch.appending("box.tar").string
        try await Program.system("cp").check("/bin/busybox", root + "/bin/busybox")
        try await Program.system("chroot").check(root, "/bin/busybox", "--install", "-s", "/bin")
        try await Program.system("tar").check("-C", root, "-cf", archive, ".")
        try await check("import", archive, Self.image)
    }

    private func close() async {
        _ = try? await run("rm", "--all", "--force", "--time", "0")
        _ = try? await run("pod", "rm", "--all", "--force", "--time", "0")
        if let cgroup = try? Cgroup(host: CgroupHost.detect(), path: "/\(mark)") {
            try? cgroup.kill()
            try? cgroup.delete()
        }
        // podman makes directories for conmon in hierarchies, too, that are not mounted.
        let directories = (try? Files.list("/sys/fs/cgroup")) ?? []
        for path in directories.map({ "/sys/fs/cgroup/\($0)/\(mark)" }) where Files.exists(FilePath(path)) {
            _ = try? await Program.system("find").run(path, "-depth", "-delete")
        }
    }

    /// podman with these arguments; its own output goes to files, since conmon keeps what it inherits.
    func run(_ arguments: String..., input: String = "") async throws -> Program.Output {
        try await podman.run(arguments, input: input, environment: environment)
    }

    @discardableResult
    func check(_ arguments: String..., input: String = "") async throws -> String {
        let output = try await podman.run(arguments, input: input, environment: environment)
        guard output.code == 0 else { throw Program.Failure(output: output) }
        return output.standardOutput
    }

    /// Options of `run` and `create` that every test wants: no network, and cgroups that carry the test's mark.
    func start(_ options: [String], _ command: String...) async throws -> Program.Output {
        try await podman.run(
            ["run", "--network", "none", "--cgroups", "no-conmon", "--cgroup-parent", "/\(mark)"] + options
                + [Self.image] + command, environment: environment)
    }
}
