internal import LinuxKernel
internal import TestSupport
internal import Testing

@Suite struct OCILifecycleTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func runGivesTheProcessesOwnCode(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let seven = try await fixture.output(of: ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"])
            #expect(seven.code == 7)
            #expect(seven.standardOutput == "out\n")
            #expect(seven.standardError == "err\n")
            let killed = try await fixture.output(of: ["/bin/sh", "-c", "sh -c 'kill -9 $$'; exit $?"])
            #expect(killed.code == 137)
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func createStartStateKillDelete(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            let pidFile = fixture.scratch.appending("pid")
            // As an engine calls it: its output goes to a file, since the container inherits it.
            let output = fixture.scratch.appending("output").string
            try await Program.system("sh").check(
                "-c",
                "\(fixture.runtime.path) \(fixture.runtime.arguments.joined(separator: " ")) create "
                    + "--bundle \(fixture.bundle) --pid-file \(pidFile) c1 > \(output) 2>&1 < /dev/null")
            let created = try await state(fixture, "c1")
            #expect(created["status"] == "created")
            #expect(created["bundle"] == fixture.bundle.string)
            #expect(try Files.readText(pidFile) == created["pid"])

            let again = try await fixture.runtime.run("create", "--bundle", fixture.bundle.string, "c1")
            #expect(again.code != 0)
            #expect(again.standardError.contains("container with given ID already exists"))

            try await fixture.runtime.check("start", "c1")
            #expect(try await state(fixture, "c1")["status"] == "running")
            #expect(try await fixture.runtime.check("list", "--quiet").standardOutput == "c1\n")
            let pids = try await fixture.runtime.check("ps", "--format", "json", "c1").standardOutput
            #expect(pids.contains(try #require(created["pid"])))
            // The table is `ps`'s own, which wants a boot time that user-mode Linux does not give.
            if try await Program.system("ps").run("-ef").code == 0 {
                let processes = try await fixture.runtime.check("ps", "c1")
                #expect(processes.standardOutput.contains("sleep 1000"))
            }

            let running = try await fixture.runtime.run("delete", "c1")
            #expect(running.code != 0)
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await eventually("the container to stop") { try await state(fixture, "c1")["status"] == "stopped" }
            try await fixture.runtime.check("delete", "c1")
            let gone = try await fixture.runtime.run("state", "c1")
            #expect(gone.code != 0)
            #expect(gone.standardError.contains("container does not exist"))
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func execRunsInTheContainer(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"], ".hostname = \"inside\"")
            let output = fixture.scratch.appending("output").string
            try await Program.system("sh").check(
                "-c",
                "\(fixture.runtime.path) \(fixture.runtime.arguments.joined(separator: " ")) run --detach "
                    + "--bundle \(fixture.bundle) c1 > \(output) 2>&1 < /dev/null")
            let hostname = try await fixture.runtime.check("exec", "c1", "/bin/hostname")
            #expect(hostname.standardOutput == "inside\n")
            let code = try await fixture.runtime.run(
                "exec", "--cwd", "/tmp", "--env", "A=b c", "c1", "sh", "-c", "pwd; echo $A; exit 5")
            #expect(code.standardOutput == "/tmp\nb c\n")
            #expect(code.code == 5)
            let first = try await fixture.runtime.check("exec", "c1", "/bin/sh", "-c", "cat /proc/1/comm; id -u")
            #expect(first.standardOutput == "sleep\n0\n")
            let user = try await fixture.runtime.check(
                "exec", "--user", "1000:1001", "c1", "/bin/sh", "-c", "id -u; id -g")
            #expect(user.standardOutput == "1000\n1001\n")
            try await fixture.runtime.check("delete", "--force", "c1")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func processSettingsHold(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let shown = try await fixture.output(
                of: [
                    "/bin/sh", "-c",
                    "id -u; id -g; umask; pwd; ulimit -n; grep -E 'CapEff|NoNewPrivs' /proc/self/status; echo $FOO",
                ],
                """
                .process.user = {"uid": 65534, "gid": 1234, "umask": 23} | .process.cwd = "/tmp"
                | .process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 123, "hard": 456}] | .process.env += ["FOO=bar"]
                | .process.noNewPrivileges = true | .process.capabilities.effective = [] | .process.capabilities.ambient = []
                """)
            #expect(
                shown.standardOutput == """
                    65534
                    1234
                    0027
                    /tmp
                    123
                    CapEff:\t0000000000000000
                    NoNewPrivs:\t1
                    bar

                    """, "\(shown)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func mountsMasksAndReadonlyPathsHold(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("data/file", "from the host\n")
            let shown = try await fixture.output(
                of: [
                    "/bin/sh", "-c",
                    """
                    cat /mnt/data/file; echo x > /mnt/data/file || echo ro; head -c 1 /proc/kcore | wc -c; \
                    echo 1 > /proc/sys/kernel/domainname || echo sysro; \
                    touch /root-is-readonly || echo rootro; ls /dev | sort | tr '\\n' ' '
                    """,
                ],
                """
                .mounts += [{"destination": "/mnt/data", "type": "bind", "source": "\(fixture.scratch.path)/data",
                             "options": ["rbind", "ro"]}] | .root.readonly = true
                """)
            let lines = shown.lines.map(String.init)
            #expect(lines.first == "from the host", "\(shown)")
            #expect(lines.contains("ro"))
            #expect(lines.contains("0"), "the masked /proc/kcore is empty")
            #expect(lines.contains("sysro"))
            #expect(lines.contains("rootro"))
            let devices = lines.last ?? ""
            for device in [
                "null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin", "stdout", "stderr", "pts",
                "shm",
            ] {
                #expect(devices.split(separator: " ").contains(Substring(device)), "/dev/\(device)")
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func noDescriptorLeaksIn(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let shown = try await fixture.output(of: ["/bin/sh", "-c", "ls /proc/$$/fd | tr '\\n' ' '"])
            // The shell's own, and at most the one that lists them.
            #expect(["0 1 2 ", "0 1 2 10 ", "0 1 2 3 "].contains(shown.standardOutput), "\(shown)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func limitsReachTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let shown = try await fixture.output(
                of: [
                    "/bin/sh", "-c",
                    "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null",
                ],
                ".linux.resources.memory = {\"limit\": 67108864} | .linux.resources.pids = {\"limit\": 55}")
            #expect(shown.standardOutput == "67108864\n55\n", "\(shown)")
        }
    }

    @Test func umociBundleRunsAsItIs() async throws {
        let scratch = try ScratchDirectory("umoci")
        let layout = scratch.appending("layout").string
        try await Program.system("umoci").check("init", "--layout", layout)
        try await Program.system("umoci").check("new", "--image", "\(layout):box")
        try await Program.system("umoci").check("insert", "--image", "\(layout):box", "/bin/busybox", "/bin/busybox")
        try await Program.system("umoci").check(
            "config", "--image", "\(layout):box", "--config.cmd", "/bin/busybox", "--config.cmd", "echo",
            "--config.cmd", "umoci")
        try await Program.system("umoci").check(
            "unpack", "--image", "\(layout):box", scratch.appending("bundle").string)
        let config = scratch.appending("bundle").appending("config.json")
        // Standard input is no terminal here; that is the one thing changed.
        let changed = try await Program.system("jq").check(".process.terminal = false", config.string).standardOutput
        try Files.writeAtomically(config, Array(changed.utf8), mode: 0o644)
        let runtime = Program.ours("berth-oci", "--root", scratch.appending("state").string)
        let output = try await runtime.run("run", "--bundle", scratch.appending("bundle").string, "umoci")
        #expect(output.standardOutput == "umoci\n", "\(output)")
        #expect(output.code == 0)
    }

    /// The fields of `state` as strings, read with jq.
    private func state(_ fixture: OCIFixture, _ id: String) async throws -> [String: String] {
        let json = try await fixture.runtime.check("state", id).standardOutput
        let lines = try await Program.system("jq").check("-r", "to_entries[] | \"\\(.key)=\\(.value)\"", input: json)
            .lines
        return Dictionary(
            lines.compactMap { line in
                let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
                return parts.count == 2 ? (parts[0], parts[1]) : nil
            }, uniquingKeysWith: { first, _ in first })
    }
}
