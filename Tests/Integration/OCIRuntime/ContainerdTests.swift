internal import Core
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Debian's containerd and its `ctr`, with ours as the binary of its runc shim, and with runc to prove the test.
@Suite(.serialized) struct ContainerdShimTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func ctrDrivesTheRuntime(_ kind: RuntimeUnderTest) async throws {
        try await ContainerdFixture.with(kind) { containerd in
            let exited = try await containerd.start(["--rm"], "r1", "sh", "-c", "echo out; exit 3")
            #expect(exited.code == 3, "\(exited)")
            #expect(exited.standardOutput == "out\n")
            let missing = try await containerd.start(["--rm"], "r2", "/no/such/program")
            #expect(missing.code != 0)
            #expect(missing.standardError.contains("/no/such/program"), "\(missing)")
            let mapped = try await containerd.start(
                ["--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"], "r3", "cat", "/proc/self/uid_map")
            #expect(mapped.standardOutput.split(separator: " ").last == "65536\n", "\(mapped)")

            let limited = try await containerd.start(
                ["--detach", "--memory-limit", "67108864", "--cgroup", "/\(containerd.mark)/d1"], "d1", "sleep", "1000")
            #expect(limited.code == 0, "\(limited)")
            let exec = try await containerd.ctr.run(
                "tasks", "exec", "--exec-id", "e1", "--user", "1000:1000", "--cwd", "/tmp", "d1", "sh", "-c",
                "id -u; pwd; exit 5")
            #expect(exec.code == 5, "\(exec)")
            #expect(exec.standardOutput == "1000\n/tmp\n")

            try await containerd.ctr.check("tasks", "pause", "d1")
            #expect(try await containerd.ctr.check("tasks", "ls").standardOutput.contains("PAUSED"))
            try await containerd.ctr.check("tasks", "resume", "d1")
            #expect(try await containerd.ctr.check("tasks", "ls").standardOutput.contains("RUNNING"))
            let metrics = try await containerd.ctr.check("tasks", "metrics", "d1").standardOutput
            #expect(metrics.contains("67108864") || metrics.contains("memory.usage"), "\(metrics)")

            try await containerd.ctr.check("tasks", "kill", "--signal", "SIGKILL", "d1")
            try await eventually("the task to stop") {
                try await containerd.ctr.run("tasks", "ls").standardOutput.contains("STOPPED")
            }
            // Its status is the exit status of the task's process, told as ctr's own.
            _ = try await containerd.ctr.run("tasks", "rm", "d1")
            try await containerd.ctr.check("containers", "rm", "d1")
            #expect(try await containerd.ctr.check("tasks", "ls", "--quiet").standardOutput == "")
        }
    }

    /// Without runc, as `CheckpointTests`.
    @Test(.enabled(if: CRIU.isPossible)) func ctrRestoresWhatItCheckpointed() async throws {
        try await ContainerdFixture.with(.berth) { containerd in
            let counting = "i=0; while :; do i=$((i + 1)); echo $i > /count; sleep 0.1; done"
            let started = try await containerd.start(["--detach"], "live", "sh", "-c", counting)
            #expect(started.code == 0, "\(started)")
            func count(_ id: String) async throws -> Int? {
                let exec = try await containerd.ctr.run("tasks", "exec", "--exec-id", "e", id, "cat", "/count")
                return exec.lines.first.flatMap { Int($0) }
            }
            try await eventually("the container to count") { (try await count("live") ?? 0) > 3 }
            try await containerd.ctr.check("containers", "checkpoint", "--task", "--rw", "--image", "live", "saved")
            let saved = try #require(try await count("live"))
            try await containerd.ctr.check("tasks", "kill", "--signal", "SIGKILL", "live")
            try await containerd.ctr.check("tasks", "rm", "--force", "live")
            try await containerd.ctr.check("containers", "rm", "live")

            // This ctr waits for the container's end.
            let ctr = ([containerd.ctr.path.string] + containerd.ctr.arguments).joined(separator: " ")
            let log = containerd.scratch.appending("restore")
            try await Program.system("sh").check(
                "-c", "\(ctr) containers restore --live live saved > \(log) 2>&1 < /dev/null &")
            try await eventually("the container to go on") { (try await count("live") ?? 0) > saved }
        }
    }
}

/// A containerd without CRI on a socket of its own, with the image `localhost/box:1`.
struct ContainerdFixture: Sendable {
    let mark: String
    let scratch: ScratchDirectory
    let ctr: Program
    private let runtime: String

    static func with(_ kind: RuntimeUnderTest, _ body: (ContainerdFixture) async throws -> Void) async throws {
        let fixture = try await ContainerdFixture(kind)
        let log = try FileDescriptor.open(
            fixture.scratch.appending("log"), .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
        defer { try? log.close() }
        let daemon = try Spawn.spawn(
            executable: Program.system("containerd").path,
            arguments: ["containerd", "--config", fixture.scratch.appending("config.toml").string],
            environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [(log, 1), (log, 2)], newSession: true)
        do {
            try await fixture.prepare()
            try await body(fixture)
            await fixture.clear(daemon)
        } catch {
            print(
                "containerd's log of \(fixture.mark):\n\((try? Files.readText(fixture.scratch.appending("log"))) ?? "")"
            )
            await fixture.clear(daemon)
            throw error
        }
    }

    private init(_ kind: RuntimeUnderTest) async throws {
        mark = "ctrd\(Identifier.random().prefix(8))"
        scratch = try ScratchDirectory(mark)
        runtime = kind.program(root: "").path.string
        ctr = .system("ctr", "--address", scratch.appending("c.sock").string)
        try scratch.file(
            "config.toml",
            """
            version = 2
            root = "\(scratch.appending("root"))"
            state = "\(scratch.appending("state"))"
            disabled_plugins = ["io.containerd.grpc.v1.cri"]
            [grpc]
              address = "\(scratch.appending("c.sock"))"
            """)
    }

    private func prepare() async throws {
        let layout = scratch.appending("layout").string
        let root = try scratch.directory("rootfs").string
        for folder in ["bin", "etc", "tmp", "proc", "dev", "sys", "run"] {
            _ = try scratch.directory("rootfs/\(folder)")
        }
        try await Program.system("cp").check("/bin/busybox", root + "/bin/busybox")
        try await Program.system("chroot").check(root, "/bin/busybox", "--install", "-s", "/bin")
        try await Program.system("umoci").check("init", "--layout", layout)
        try await Program.system("umoci").check("new", "--image", "\(layout):1")
        try await Program.system("umoci").check("insert", "--image", "\(layout):1", root, "/")
        try await Program.system("umoci").check(
            "config", "--image", "\(layout):1", "--config.env", "PATH=/bin", "--config.cmd", "sh")
        let archive = scratch.appending("box.tar").string
        try await Program.system("tar").check("-C", layout, "-cf", archive, ".")
        try await eventually("containerd to answer") { try await ctr.run("version").code == 0 }
        try await ctr.check("images", "import", "--base-name", "localhost/box", "--snapshotter", "native", archive)
    }

    private func clear(_ daemon: ChildProcess) async {
        for id in (try? await ctr.run("tasks", "ls", "--quiet"))?.lines ?? [] {
            _ = try? await ctr.run("tasks", "rm", "--force", String(id))
            _ = try? await ctr.run("containers", "rm", String(id))
        }
        try? daemon.signal(15)
        _ = try? await daemon.wait()
        if let cgroup = try? Cgroup(host: CgroupHost.detect(), path: "/\(mark)") {
            try? cgroup.kill()
            try? cgroup.delete()
        }
    }

    func start(_ options: [String], _ id: String, _ command: String...) async throws -> Program.Output {
        let cgroup = options.contains("--cgroup") ? [] : ["--cgroup", "/\(mark)/\(id)"]
        return try await ctr.run(
            ["run", "--snapshotter", "native", "--runc-binary", runtime] + cgroup + options + ["localhost/box:1", id]
                + command)
    }
}
