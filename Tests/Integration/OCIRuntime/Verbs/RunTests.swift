internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The verb `run`.
@Suite struct OCIRunTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func runGivesTheProcessesOwnCode(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let seven = try await fixture.shell("echo out; echo err >&2; exit 7")
            #expect(seven.code == 7)
            #expect(seven.standardOutput == "out\n")
            #expect(seven.standardError == "err\n")
            let killed = try await fixture.shell("sh -c 'kill -9 $$'; exit $?")
            #expect(killed.code == 137)
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func inputGoesThroughAndNothingIsLeft(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/cat"])
            let before = try HostSnapshot(of: fixture.scratch.path, mark: fixture.mark)
            let output = try await fixture.runtime.run(
                "run", "--bundle", fixture.bundle.string, "c1", input: "through\n")
            #expect(output.standardOutput == "through\n", "\(output)")
            let left = try HostSnapshot(of: fixture.scratch.path, mark: fixture.mark).added(since: before)
            // The state's root, and the cgroup above the container's.
            #expect(left.filter { !$0.hasSuffix("/state") && !$0.hasSuffix("/\(fixture.mark)") } == [])
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func keptContainerIsStoppedAndStillThere(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sh", "-c", "exit 3"])
            let output = try await fixture.runtime.run("run", "--keep", "--bundle", fixture.bundle.string, "c1")
            #expect(output.code == 3, "\(output)")
            #expect(try await fixture.state()["status"] == "stopped")
            try await fixture.runtime.check("delete", "c1")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func detachedContainerRunsOn(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            let pidFile = fixture.scratch.appending("pid")
            try await fixture.detached("run --detach --pid-file \(pidFile) --bundle \(fixture.bundle) c1")
            let state = try await fixture.state()
            #expect(state["status"] == "running")
            #expect(try Files.readText(pidFile) == state["pid"])
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func noDescriptorLeaksIn(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let shown = try await fixture.output(of: ["/bin/ls", "/proc/self/fd"])
            // The last is the one that lists them.
            #expect(shown.shown == ["0", "1", "2", "3"], "\(shown)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func descriptorsAreKeptWhereTheyAreAskedFor(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sh", "-c", "cat <&3; test -e /proc/self/fd/5 || echo none"])
            let file = try fixture.scratch.file("file", "handed on\n")
            let output = try await Program.system("sh").check(
                "-c",
                "exec 3< \(file) 4< /dev/null 5< /dev/null; exec \(fixture.call) run --preserve-fds 2 --bundle \(fixture.bundle) c1"
            )
            #expect(output.shown == ["handed on", "none"], "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.allCPUsOfTheHost))
    func theCallersCPUsAreNotTheContainers(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let all = try await Program.system("grep").check("Cpus_allowed_list", "/proc/self/status").standardOutput
            try await fixture.configure(["/bin/grep", "Cpus_allowed_list", "/proc/self/status"])
            let shown = try await Program.system("taskset", "-c", "0").check(
                fixture.runtime.path.string, fixture.runtime.arguments[0], fixture.runtime.arguments[1], "run",
                "--bundle", fixture.bundle.string, "c1")
            #expect(shown.standardOutput == all)
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.pidfdSocket))
    func aPidfdOfTheProcessIsSent(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            let path = fixture.scratch.appending("pidfd.sock")
            let listener = try Syscall.listen(path, .stream)
            try await fixture.detached("run --detach --pidfd-socket \(path) --bundle \(fixture.bundle) c1")
            let connection = try Syscall.accept(listener.fd)
            let received = try Syscall.receive(from: connection.fd, limit: 64, descriptorLimit: 1)
            let pidfd = try #require(received.descriptors.first)
            try Syscall.pidfdSendSignal(pidfd.fd, 9)
            try await fixture.waitUntilStopped()
        }
    }

    /// crun's option, by which podman's `--cgroups disabled` comes.
    @Test(arguments: RuntimeUnderTest.knowing(.cgroupManagerOption))
    func withoutACgroupManagerTheContainerStaysWhereItsCallerIs(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/cat", "/proc/self/cgroup"], ".linux.resources.memory = {\"limit\": 67108864}")
            let output = try await fixture.runtime.with("--cgroup-manager=disabled").run(
                "run", "--bundle", "\(fixture.bundle)", "c1")
            #expect(output.code == 0, "\(output)")
            #expect(output.standardOutput == (try Files.readText("/proc/self/cgroup")) + "\n", "\(output)")
            let wrong = try await fixture.runtime.with("--cgroup-manager=none").run("list")
            #expect(wrong.code == 1)
            #expect(wrong.standardError.contains("must be cgroupfs, systemd or disabled"), "\(wrong)")
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
}
