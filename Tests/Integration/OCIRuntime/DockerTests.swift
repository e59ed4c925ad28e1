internal import Core
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Debian's dockerd and its `docker`, with ours as the runtime that it starts its containers with, and with runc to prove
/// the test.
@Suite(.serialized) struct DockerTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func dockerDrivesTheRuntime(_ kind: RuntimeUnderTest) async throws {
        try await DockerFixture.with(kind) { docker in
            let exited = try await docker.run("run", "--rm", "box", "sh", "-c", "echo out; exit 3")
            #expect(exited.code == 3, "\(exited)")
            #expect(exited.standardOutput == "out\n")
            let missing = try await docker.run("run", "--rm", "box", "/no/such/program")
            #expect(missing.code == 127, "\(missing)")
            #expect(missing.standardError.contains("/no/such/program"), "\(missing)")
            #expect(try await docker.run("run", "--rm", "--tty", "box", "tty").standardOutput == "/dev/pts/0\r\n")
            let limited = try await docker.run(
                "run", "--rm", "--memory", "64m", "--pids-limit", "50", "--cap-drop", "ALL", "--cap-add", "CHOWN",
                "--read-only", "--tmpfs", "/own", "--user", "1000:1000", "--hostname", "box", "--init", "box", "sh",
                "-c", "id -u; hostname; grep CapBnd /proc/self/status; touch /own/x && echo made; touch /x")
            #expect(limited.shown == ["1000", "box", "CapBnd:\t0000000000000001", "made"], "\(limited)")
            let killed = try await docker.run(
                "run", "--rm", "--memory", "20m", "--memory-swap", "20m", "box", "sh", "-c",
                "x=a; while :; do x=$x$x; done")
            #expect(killed.code == 137, "\(killed)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func dockerDrivesAContainerThroughItsLife(_ kind: RuntimeUnderTest) async throws {
        try await DockerFixture.with(kind) { docker in
            func inspect(_ field: String) async throws -> String? {
                try await docker.run("inspect", "life", "--format", "{{.State.\(field)}}").shown.first
            }
            let loop = "trap 'echo ending; exit 3' TERM; while :; do sleep 0.1; done"
            try await docker.check(
                "run", "--detach", "--name", "life", "--health-cmd", "true", "--health-interval", "1s", "box", "sh",
                "-c", loop)
            let exec = try await docker.run(
                "exec", "--user", "1000", "--workdir", "/tmp", "--env", "A=b", "life", "sh", "-c",
                "id -u; pwd; echo $A; exit 4")
            #expect(exec.code == 4)
            #expect(exec.shown == ["1000", "/tmp", "b"], "\(exec)")
            #expect(try await docker.run("exec", "life", "/no/such/program").code == 126)
            #expect(try await docker.check("top", "life").standardOutput.contains("sleep 0.1"))
            try await docker.check("pause", "life")
            #expect(try await inspect("Status") == "paused")
            try await docker.check("unpause", "life")
            try await docker.check("update", "--memory", "100m", "--memory-swap", "200m", "life")
            #expect(try await docker.check("stats", "--no-stream", "life").standardOutput.contains("100MiB"))
            try await eventually("the health check") { try await inspect("Health.Status") == "healthy" }
            try await docker.check("stop", "life")
            #expect(try await inspect("ExitCode") == "3")
            #expect(try await docker.check("logs", "life").standardOutput == "ending\n")
            try await docker.check("start", "life")
            try await docker.check("kill", "life")
            #expect(try await inspect("ExitCode") == "137")
            try await docker.check("rm", "life")
        }
    }
}

/// A dockerd of its own without a network and with a /run of its own, on a socket of its own, with the image `box`.
private struct DockerFixture {
    static func with(_ kind: RuntimeUnderTest, _ body: (Program) async throws -> Void) async throws {
        let mark = "docker\(Identifier.random().prefix(8))"
        let scratch = try ScratchDirectory(mark)
        let socket = "unix://\(scratch.appending("d.sock"))"
        try scratch.file(
            "daemon.json",
            """
            {"runtimes": {"tested": {"path": "\(kind.program(root: "").path)"}}, "default-runtime": "tested",
             "storage-driver": "vfs", "bridge": "none", "iptables": false, "ip6tables": false, "ip-forward": false,
             "data-root": "\(scratch.appending("data"))", "exec-root": "\(scratch.appending("exec"))",
             "pidfile": "\(scratch.appending("pid"))", "hosts": ["\(socket)"], "cgroup-parent": "/\(mark)",
             "exec-opts": ["native.cgroupdriver=cgroupfs"]}
            """)
        let log = try FileDescriptor.open(
            scratch.appending("log"), .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
        defer { try? log.close() }
        let daemon = try Spawn.spawn(
            executable: Program.system("unshare").path,
            arguments: [
                "unshare", "--net", "--mount", "sh", "-c",
                "mount -t tmpfs tmpfs /run && exec dockerd --config-file \(scratch.appending("daemon.json"))",
            ],
            environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [(log, 1), (log, 2)], newSession: true)
        let docker = Program.system("docker", "--host", socket)
        do {
            try await eventually("dockerd to answer", within: .seconds(30)) {
                try await docker.run("version").code == 0
            }
            try await importImage(docker, scratch)
            try await body(docker)
            await close(daemon, mark)
        } catch {
            print("dockerd's log of \(mark):\n\((try? Files.readText(scratch.appending("log"))) ?? "")")
            await close(daemon, mark)
            throw error
        }
    }

    private static func importImage(_ docker: Program, _ scratch: ScratchDirectory) async throws {
        for folder in ["bin", "etc", "tmp"] { _ = try scratch.directory("rootfs/\(folder)") }
        let root = scratch.appending("rootfs").string
        let archive = scratch.appending("box.tar").string
        try await Program.system("cp").check("/bin/busybox", root + "/bin/busybox")
        try await Program.system("chroot").check(root, "/bin/busybox", "--install", "-s", "/bin")
        try await Program.system("tar").check("-C", root, "-cf", archive, ".")
        try await docker.check("import", archive, "box")
    }

    /// It ends its containers and its containerd.
    private static func close(_ daemon: ChildProcess, _ mark: String) async {
        try? daemon.signal(15)
        _ = try? await daemon.wait()
        if let cgroup = try? Cgroup(host: CgroupHost.detect(), path: "/\(mark)") {
            try? cgroup.kill()
            try? cgroup.delete()
        }
    }
}
