internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The verb `exec`.
@Suite struct OCIExecTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func execRunsInTheContainer(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".hostname = \"inside\"")
            let hostname = try await fixture.runtime.check("exec", "c1", "/bin/hostname")
            #expect(hostname.standardOutput == "inside\n")
            let own = try await fixture.exec("cat /proc/1/comm; id -u; cat; exit 5")
            #expect(own.shown == ["sleep", "0"], "\(own)")
            #expect(own.code == 5)
            let input = try await fixture.runtime.check("exec", "c1", "/bin/cat", input: "through\n")
            #expect(input.standardOutput == "through\n")
            #expect(try fixture.cgroup.pids().count == 1, "nothing of them is left")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func optionsChangeTheProcess(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".process.env += [\"KEPT=k\"]")
            let output = try await fixture.runtime.check(
                "exec", "--user", "1000:1001", "--additional-gids", "7", "--cwd", "/tmp", "--env", "A=b c", "--env",
                "B=", "c1", "sh", "-c", "id -u; id -g; id -G; pwd; echo \"$A|$B|$KEPT\"")
            #expect(output.shown == ["1000", "1001", "1001 7", "/tmp", "b c||k"], "\(output)")
            let capable = try await fixture.runtime.check(
                "exec", "--cap", "CAP_SYS_ADMIN", "c1", "awk", "/^Cap(Eff|Bnd)/ { print $2 }", "/proc/self/status")
            #expect(capable.shown == ["0000000020200420", "0000000020200420"], "\(capable)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func processFileIsTheWholeProcess(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".process.env += [\"GONE=g\"]")
            let process = try fixture.scratch.file(
                "process.json",
                """
                {"args": ["sh", "-c", "id -u; pwd; echo $A$GONE; ulimit -n; umask"], "cwd": "/tmp", "env": ["PATH=/bin", "A=a"],
                 "user": {"uid": 1000, "gid": 1000, "umask": 63}, "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}]}
                """)
            let output = try await fixture.runtime.check("exec", "--process", process.string, "c1")
            #expect(output.shown == ["1000", "/tmp", "a", "99", kind.has(.umaskOfExec) ? "0077" : "0022"], "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func detachedOneRunsOn(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start()
            let pidFile = fixture.scratch.appending("pid")
            try await fixture.detached("exec --detach --pid-file \(pidFile) c1 sleep 1000")
            let pid = try #require(Int32(try Files.readText(pidFile)))
            #expect(try fixture.cgroup.pids().contains(pid))
            #expect(try fixture.cgroup.pids().count == 2)
            // It ends with the first process of its PID namespace.
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await eventually("the second process to end") { ProcessStatus.read(pid)?.isAlive != true }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func anExecThatComesToNoneHasTheCode255(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start()
            #expect(try await fixture.runtime.run("exec", "c1", "/bin/false").code == 1)
            #expect(try await fixture.runtime.run("exec", "c1", "no-such-program").code == 255)
            #expect(try await fixture.runtime.run("exec", "none", "true").code == 255)
            let file = fixture.scratch.appending("none/pid").string
            #expect(try await fixture.runtime.run("exec", "--pid-file", file, "c1", "true").code == 255)
            try await fixture.runtime.check("pause", "c1")
            let paused = try await fixture.runtime.run("exec", "c1", "true")
            #expect(paused.code == 255)
            #expect(paused.standardError.contains("cannot exec in a paused container"))
            try await fixture.runtime.check("resume", "c1")
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await fixture.waitUntilStopped()
            #expect(try await fixture.runtime.run("exec", "c1", "true").code == 255)
        }
    }

    /// v2 has one hierarchy.
    @Test(
        .enabled(if: Files.exists("/sys/fs/cgroup/memory/cgroup.procs")),
        arguments: RuntimeUnderTest.allCases)
    func execGoesIntoSubCgroups(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start()
            let memory = "/sys/fs/cgroup/memory/\(fixture.mark)/c/sub"
            try Files.makeDirectories(FilePath(memory))
            let placed = try await fixture.runtime.check(
                "exec", "--cgroup", "memory:sub", "c1", "/bin/cat", "/proc/self/cgroup")
            #expect(placed.standardOutput.contains(":memory:/\(fixture.mark)/c/sub\n"), "\(placed)")
            #expect(placed.standardOutput.contains(":pids:/\(fixture.mark)/c\n"))
            for (path, words) in [
                ("..", "sub cgroup path"), ("none", "no such file or directory"),
                ("magic:/", "unknown controller magic"),
            ] {
                let refused = try await fixture.runtime.run("exec", "--cgroup", path, "c1", "true")
                #expect(refused.code == 255)
                #expect(refused.standardError.contains(words), "\(refused)")
            }
        }
    }
}
