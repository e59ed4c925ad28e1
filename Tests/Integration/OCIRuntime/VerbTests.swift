internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// What engines and people rely on of single verbs. With Debian's runc where that has it.
@Suite struct OCIVerbTests {
    /// Runs a container that sleeps, detached as an engine does it.
    private func start(_ fixture: OCIFixture, _ id: String = "c1") async throws {
        let output = fixture.scratch.appending("output-\(id)").string
        try await Program.system("sh").check(
            "-c",
            "\(fixture.runtime.path) \(fixture.runtime.arguments.joined(separator: " ")) run --detach "
                + "--bundle \(fixture.bundle) \(id) > \(output) 2>&1 < /dev/null")
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func anExecThatComesToNoneHasTheCode255(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            try await start(fixture)
            #expect(try await fixture.runtime.run("exec", "c1", "/bin/false").code == 1)
            #expect(try await fixture.runtime.run("exec", "c1", "no-such-program").code == 255)
            #expect(try await fixture.runtime.run("exec", "none", "true").code == 255)
            #expect(try await fixture.runtime.run("exec", "--pid-file", "/none/such", "c1", "true").code == 255)
            try await fixture.runtime.check("pause", "c1")
            let paused = try await fixture.runtime.run("exec", "c1", "true")
            #expect(paused.code == 255)
            #expect(paused.standardError.contains("cannot exec in a paused container"))
            try await fixture.runtime.check("resume", "c1")
        }
    }

    /// crun's option, by which podman's `--cgroups disabled` comes.
    @Test func withoutACgroupManagerTheContainerStaysWhereItsCallerIs() async throws {
        try await OCIFixture.with(.berth) { fixture in
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

    @Test func traceTellsTheTimeOfEachStep() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(["/bin/true"])
            let output = try await fixture.runtime.with("--trace").check("run", "--bundle", "\(fixture.bundle)", "c1")
            let told = Self.traced(output.standardError)
            for words in ["read config.json", "compile the plan", "wait for the process"] {
                #expect(told.parts.contains(words), "\(output.standardError)")
            }
            #expect(told.parts.contains { $0.hasSuffix("(child): pivot into the root") })
            // Each step up to the exec, which leaves nobody to tell.
            #expect(told.steps.count > 10)
            #expect(told.steps.count + 1 == told.of)
        }
    }

    /// The words behind each number of milliseconds, and the steps of how many.
    private static func traced(_ text: String) -> (parts: [String], steps: [String], of: Int) {
        var parts: [String] = []
        for line in text.split(separator: "\n") {
            let columns = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
            if columns.count == 3, Double(columns[0]) != nil, columns[1] == "ms" {
                parts.append(String(columns[2].drop { $0 == " " }))
            }
        }
        let steps = parts.filter { $0.hasPrefix("step ") }
        let fields = (steps.last ?? "").split(separator: " ")
        return (parts, steps, fields.count > 3 ? Int(fields[3]) ?? 0 : 0)
    }

    @Test func documentsHaveTheirFieldsInRuncsOrder() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            try await start(fixture)
            let list = try await fixture.runtime.check("list", "--format", "json").standardOutput
            #expect(list.hasPrefix("[{\"ociVersion\":\"1."), "\(list)")
            let order = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"]
                .compactMap { list.ranges(of: "\"\($0)\":").first?.lowerBound }
            #expect(order.count == 8 && order == order.sorted())
            let events = try await fixture.runtime.check("events", "--stats", "c1").standardOutput
            #expect(events.hasPrefix("{\"type\":\"stats\",\"id\":\"c1\",\"data\":{\"cpu\":{"), "\(events)")
            let hasCPUSet = try CgroupHost.detect().hierarchies.contains { $0.controllers.contains("cpuset") }
            #expect(events.contains("\"cpuset\":{\"cpus\":[0") == hasCPUSet, "\(events)")
            // Of each, where this kernel keeps pressure stall information for cgroup2.
            let hasPressure = ["/sys/fs/cgroup/cpu.pressure", "/sys/fs/cgroup/unified/cpu.pressure"].contains {
                (try? Files.readText($0)) != nil
            }
            #expect(events.ranges(of: "\"psi\":{\"some\":{\"avg10\":").count == (hasPressure ? 3 : 0), "\(events)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func killEndsEveryProcessThatSharesTheHostsPIDs(_ kind: RuntimeUnderTest) async throws {
        // runc 1.1 ends the first process alone.
        if kind == .runc { return }
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/sleep", "1000"], ".linux.namespaces |= map(select(.type != \"pid\"))")
            try await start(fixture)
            let output = fixture.scratch.appending("exec").string
            try await Program.system("sh").check(
                "-c",
                "\(fixture.runtime.path) \(fixture.runtime.arguments.joined(separator: " ")) exec --detach "
                    + "--pid-file \(fixture.scratch.path)/pid c1 sleep 1000 > \(output) 2>&1 < /dev/null")
            let pid = try #require(Int32(try Files.readText(fixture.scratch.appending("pid"))))
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await eventually("the second process to end") { ProcessStatus.read(pid)?.isAlive != true }
            // Whoever is gone already is no error with --all, and one without.
            #expect(try await fixture.runtime.run("kill", "--all", "c1", "0").code == 0)
            let stopped = try await fixture.runtime.run("kill", "c1", "0")
            #expect(stopped.code == 1)
            #expect(stopped.standardError.contains("container not running"))
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func updateTakesNegativeValuesAndFiles(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/sleep", "1000"],
                ".linux.resources.pids = {\"limit\": 50} | .linux.resources.memory = {\"limit\": 67108864}")
            try await start(fixture)
            func limit(_ file: String) async throws -> String {
                try await fixture.runtime.check(
                    "exec", "c1", "/bin/sh", "-c",
                    "cat /sys/fs/cgroup/*/\(file) /sys/fs/cgroup/\(file) 2>/dev/null; true"
                ).standardOutput
            }
            #expect(try await limit("pids.max") == "50\n")
            try await fixture.runtime.check("update", "--pids-limit", "-1", "c1")
            #expect(try await limit("pids.max") == "max\n")
            try await fixture.runtime.check("update", "--pids-limit=60", "--memory", "-1", "c1")
            #expect(try await limit("pids.max") == "60\n")
            try await fixture.runtime.check("update", "--resources", "-", "c1", input: "{\"pids\": {\"limit\": 70}}")
            #expect(try await limit("pids.max") == "70\n")
        }
    }

    @Test func execGoesIntoSubCgroups() async throws {
        try await OCIFixture.with(.berth) { fixture in
            guard Files.exists("/sys/fs/cgroup/memory/cgroup.procs") else { return }  // v2 has one hierarchy
            try await fixture.configure(["/bin/sleep", "1000"])
            try await start(fixture)
            let memory = "/sys/fs/cgroup/memory/\(fixture.mark)/c/sub"
            try Files.makeDirectories(FilePath(memory))
            let placed = try await fixture.runtime.check(
                "exec", "--cgroup", "memory:sub", "c1", "/bin/cat", "/proc/self/cgroup")
            #expect(placed.standardOutput.contains(":memory:/\(fixture.mark)/c/sub\n"), "\(placed)")
            #expect(placed.standardOutput.contains(":pids:/\(fixture.mark)/c\n"))
            for (path, words) in [
                ("..", "bad sub cgroup path"), ("none", "no such file or directory"),
                ("magic:/", "unknown controller magic"),
            ] {
                let refused = try await fixture.runtime.run("exec", "--cgroup", path, "c1", "true")
                #expect(refused.code == 255)
                #expect(refused.standardError.contains(words), "\(refused)")
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func theCallersCPUsAreNotTheContainers(_ kind: RuntimeUnderTest) async throws {
        // runc 1.1 hands them on.
        if kind == .runc { return }
        try await OCIFixture.with(kind) { fixture in
            let all = try await Program.system("grep").check("Cpus_allowed_list", "/proc/self/status").standardOutput
            try await fixture.configure(["/bin/grep", "Cpus_allowed_list", "/proc/self/status"])
            let shown = try await Program.system("taskset", "-c", "0").check(
                fixture.runtime.path.string, fixture.runtime.arguments[0], fixture.runtime.arguments[1], "run",
                "--bundle", fixture.bundle.string, "c1")
            #expect(shown.standardOutput == all)
        }
    }

    /// As runc from 1.2 on: an empty list would hide a mistyped path.
    @Test func listRefusesARootThatIsNotThere() async throws {
        #expect(try await RuntimeUnderTest.berth.program(root: "/none/such/root").run("list").code == 1)
    }

    @Test func debugTellsEachStep() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(["/bin/true"])
            let log = fixture.scratch.appending("log").string
            let program = Program(
                fixture.runtime.path, fixture.runtime.arguments + ["--debug", "--log", log, "--log-format", "json"])
            #expect(try await program.check("run", "--bundle", fixture.bundle.string, "c1").standardError == "")
            let text = try Files.readText(FilePath(log), limit: 1 << 20)
            #expect(text.contains("\"level\":\"debug\""))
            #expect(text.contains(": exec /bin/true\""), "\(text.suffix(300))")
        }
    }

    @Test func aPidfdOfTheProcessIsSent() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            let path = fixture.scratch.appending("pidfd.sock")
            let listener = try Syscall.listen(path, .stream)
            let output = fixture.scratch.appending("output").string
            try await Program.system("sh").check(
                "-c",
                "\(fixture.runtime.path) \(fixture.runtime.arguments.joined(separator: " ")) run --detach --pidfd-socket \(path) "
                    + "--bundle \(fixture.bundle) c1 > \(output) 2>&1 < /dev/null")
            let connection = try Syscall.accept(listener.fd)
            let received = try Syscall.receive(from: connection.fd, limit: 64, descriptorLimit: 1)
            let pidfd = try #require(received.descriptors.first)
            try Syscall.pidfdSendSignal(pidfd.fd, 9)
            try await eventually("the container to stop") {
                try await fixture.runtime.check("state", "c1").standardOutput.contains("stopped")
            }
        }
    }
}
