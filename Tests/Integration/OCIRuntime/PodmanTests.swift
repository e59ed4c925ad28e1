internal import TestSupport
internal import Testing

/// podman as Debian packages it, with ours as its runtime, and with runc to prove the test.
@Suite(.serialized) struct PodmanTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func runGivesOutputAndStatus(_ kind: RuntimeUnderTest) async throws {
        try await PodmanFixture.with(kind) { podman in
            let shown = try await podman.start(["--rm"], "sh", "-c", "echo out; echo err >&2; exit 3")
            #expect(shown.code == 3)
            #expect(shown.standardOutput == "out\n")
            // The runtime's own warnings go to the stderr that conmon gives it; podman shows them where it attaches early.
            let lines = shown.standardError.split(separator: "\n").filter { !$0.contains("level=warning") }
            #expect(lines == ["err"])
            let terminal = try await podman.start(["--rm", "--tty"], "tty")
            #expect(terminal.standardOutput == "/dev/pts/0\r\n", "\(terminal)")
            let missing = try await podman.start(["--rm"], "/no/such/program")
            #expect(missing.code == 127, "podman tells a missing program by the runtime's words: \(missing)")
            let folder = try await podman.start(["--rm"], "/tmp")
            #expect(folder.code == 126, "\(folder)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func detachedContainerIsDrivenThroughItsLife(_ kind: RuntimeUnderTest) async throws {
        try await PodmanFixture.with(kind) { podman in
            let started = try await podman.start(
                ["--detach", "--name", "c1", "--init=false"], "sh", "-c",
                "trap 'exit 9' TERM; echo up; sleep 1000 & wait")
            #expect(started.code == 0, "\(started)")
            let exec = try await podman.run(
                "exec", "--user", "1000:1001", "--workdir", "/tmp", "c1", "sh", "-c", "id -u; pwd; exit 4")
            #expect(exec.code == 4)
            #expect(exec.standardOutput == "1000\n/tmp\n")
            try await podman.check("exec", "--detach", "c1", "sh", "-c", "echo done > /tmp/detached")
            try await eventually("the detached exec") {
                try await podman.run("exec", "c1", "cat", "/tmp/detached").standardOutput == "done\n"
            }
            #expect(try await podman.check("exec", "--interactive", "c1", "cat", input: "through\n") == "through\n")
            #expect(try await podman.check("exec", "--tty", "c1", "tty") == "/dev/pts/0\r\n")

            try await podman.check("pause", "c1")
            #expect(try await podman.check("inspect", "--format", "{{.State.Status}}", "c1") == "paused\n")
            try await podman.check("unpause", "c1")
            let usage = try await podman.check("stats", "--no-stream", "--format", "{{.PIDs}}", "c1")
            #expect(usage == "2\n")
            #expect(try await podman.check("top", "c1", "args").contains("sleep 1000"))

            try await podman.check("stop", "--time", "10", "c1")
            #expect(try await podman.check("inspect", "--format", "{{.State.ExitCode}}", "c1") == "9\n")
            #expect(try await podman.check("logs", "c1") == "up\n")
            try await podman.check("start", "c1")
            #expect(try await podman.check("inspect", "--format", "{{.State.Running}}", "c1") == "true\n")
            try await podman.check("rm", "--force", "--time", "0", "c1")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func optionsReachTheContainer(_ kind: RuntimeUnderTest) async throws {
        try await PodmanFixture.with(kind) { podman in
            let limits = try await podman.start(
                ["--rm", "--memory", "64m", "--pids-limit", "20", "--cpus", "0.5"], "sh", "-c",
                """
                cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids/pids.max \
                /sys/fs/cgroup/pids.max 2>/dev/null; true
                """)
            #expect(limits.standardOutput == "67108864\n20\n", "\(limits)")
            let mapped = try await podman.start(
                ["--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "--tty"], "sh", "-c",
                "cat /proc/self/uid_map | tr -s ' '; id -u; tty; echo x > /tmp/x && echo written")
            #expect(mapped.standardOutput == " 0 100000 65536\r\n0\r\n/dev/pts/0\r\nwritten\r\n", "\(mapped)")
            let confined = try await podman.start(
                [
                    "--rm", "--read-only", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--security-opt",
                    "no-new-privileges",
                ],
                "sh", "-c", "grep -E 'CapEff|NoNew|Seccomp:' /proc/self/status; touch /x 2>/dev/null || echo readonly")
            #expect(
                confined.standardOutput == "CapEff:\t0000000000001000\nNoNewPrivs:\t1\nSeccomp:\t2\nreadonly\n",
                "\(confined)")
            _ = try podman.scratch.file("data/file", "mounted\n")
            let mounts = try await podman.start(
                [
                    "--rm", "--volume", "\(podman.scratch.appending("data")):/data:ro", "--tmpfs", "/small:size=1m",
                    "--hostname", "inside",
                ], "sh", "-c",
                "cat /data/file; hostname; mount | grep -c 'on /small type tmpfs'; touch /data/x || echo ro")
            #expect(mounts.standardOutput == "mounted\ninside\n1\nro\n", "\(mounts)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func healthcheckTellsTheTruth(_ kind: RuntimeUnderTest) async throws {
        try await PodmanFixture.with(kind) { podman in
            let started = try await podman.start(
                [
                    "--detach", "--name", "h1", "--health-cmd", "test -e /tmp/ok", "--health-interval", "disable",
                    "--health-retries", "1",
                ], "sleep", "1000")
            #expect(started.code == 0, "\(started)")
            #expect(try await podman.run("healthcheck", "run", "h1").code == 1)
            try await podman.check("exec", "h1", "/bin/touch", "/tmp/ok")
            #expect(try await podman.run("healthcheck", "run", "h1").code == 0)
            #expect(try await podman.check("inspect", "--format", "{{.State.Health.Status}}", "h1") == "healthy\n")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func podSharesItsNamespaces(_ kind: RuntimeUnderTest) async throws {
        try await PodmanFixture.with(kind) { podman in
            try await podman.check(
                "pod", "create", "--name", "p1", "--infra-image", PodmanFixture.image, "--infra-command", "sleep 1000",
                "--network", "none", "--hostname", "podhost", "--share", "ipc,net,uts,pid", "--cgroup-parent",
                "/\(podman.mark)")
            try await podman.check(
                "run", "--detach", "--pod", "p1", "--name", "a1", PodmanFixture.image, "sleep", "500")
            let seen = try await podman.check(
                "run", "--rm", "--pod", "p1", PodmanFixture.image, "sh", "-c", "hostname; ps -o args")
            #expect(seen.hasPrefix("podhost\n"), "\(seen)")
            #expect(seen.contains("sleep 1000") && seen.contains("sleep 500"), "\(seen)")
            try await podman.check("pod", "pause", "p1")
            #expect(try await podman.check("pod", "ps", "--format", "{{.Status}}") == "Paused\n")
            try await podman.check("pod", "unpause", "p1")
            try await podman.check("pod", "stop", "--time", "0", "p1")
            try await podman.check("pod", "start", "p1")
            // podman does not wait for its conmon to leave the pod's cgroup before it removes that, whatever the runtime.
            try await eventually("the pod's removal") {
                try await podman.run("pod", "rm", "--force", "--time", "0", "p1").code == 0
            }
        }
    }
}
