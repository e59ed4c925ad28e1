internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `--systemd-cgroup` where systemd runs: under `hack/uml --systemd`, and on machines that it manages.
@Suite(.enabled(if: Files.exists("/run/systemd/system") && Syscall.effectiveUserID == 0))
struct SystemdDriverTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func containerIsAScopeWithItsLimits(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let runtime = fixture.runtime.with("--systemd-cgroup")
            let slice = "berthtest-\(fixture.mark).slice"
            try await fixture.configure(
                ["/bin/sleep", "1000"],
                """
                .linux.cgroupsPath = "\(slice):pre:\(fixture.mark)" | .linux.resources = {
                    "memory": {"limit": 67108864}, "pids": {"limit": 30},
                    "cpu": {"shares": 512, "quota": 50000, "period": 100000}}
                | .annotations = {"org.systemd.property.TimeoutStopUSec": "uint64 5000000"}
                """)
            let output = fixture.scratch.appending("output").string
            try await Program.system("sh").check(
                "-c",
                "\(runtime.path) \(runtime.arguments.joined(separator: " ")) run --detach --bundle \(fixture.bundle) c1 "
                    + "> \(output) 2>&1 < /dev/null")
            let scope = "pre-\(fixture.mark).scope"
            let shown = try await show(scope)
            #expect(shown["Slice"] == slice)
            #expect(shown["Delegate"] == "yes")
            #expect(shown["TasksMax"] == "30")
            #expect(shown["CPUQuotaPerSecUSec"] == "500ms")
            #expect(shown["TimeoutStopUSec"] == "5s")
            let path = "/berthtest.slice/\(slice)/\(scope)"
            #expect(shown["ControlGroup"] == path)
            #expect(try await runtime.check("exec", "c1", "/bin/hostname").code == 0)
            let cgroup = try Cgroup(host: CgroupHost.detect(), path: path)
            #expect(try cgroup.pids().count == 1)

            try await runtime.check("update", "--pids-limit", "40", "c1")
            #expect(try await show(scope)["TasksMax"] == "40")
            #expect(try cgroup.read("pids", "pids.max") == "40")
            // systemd writes what it knows again.
            try await Program.system("systemctl").check("daemon-reload")
            #expect(try cgroup.read("pids", "pids.max") == "40")
            // Debian's runc has the linear mapping of before.
            let weight = kind == .runc ? "20" : "59"
            #expect(
                try cgroup.read("cpu", cgroup.isUnified("cpu") ? "cpu.weight" : "cpu.shares")
                    == (cgroup.isUnified("cpu") ? weight : "512"))

            try await runtime.check("delete", "--force", "c1")
            #expect(!cgroup.exists)
            #expect(try await show(scope)["ActiveState"] == "inactive")
            _ = try await Program.system("systemctl").run("stop", slice)
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func defaultUnitAndOneProcessAlone(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/cat", "/proc/self/cgroup"],
                """
                del(.linux.cgroupsPath) | .linux.resources.pids = {"limit": \(kind == .berth ? 1 : 30)}
                | .linux.namespaces |= map(select(.type != "cgroup"))
                """)
            let output = try await fixture.runtime.with("--systemd-cgroup").run(
                "run", "--bundle", fixture.bundle.string, fixture.mark)
            let unit = kind == .berth ? "berth-oci-\(fixture.mark).scope" : "runc-\(fixture.mark).scope"
            #expect(output.standardOutput.contains("/system.slice/\(unit)\n"), "\(output)")
            #expect(try await show(unit)["ActiveState"] == "inactive")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func failedCreateLeavesNoUnit(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/no/such/program"], ".linux.cgroupsPath = \":pre:\(fixture.mark)\"")
            let output = try await fixture.runtime.with("--systemd-cgroup").run(
                "run", "--bundle", fixture.bundle.string, "c1")
            #expect(output.code != 0)
            try await eventually("the scope to go") {
                try await show("pre-\(fixture.mark).scope")["ActiveState"] == "inactive"
            }
        }
    }

    @Test(.enabled(if: (try? CgroupHost.detect())?.layout == .unified), arguments: RuntimeUnderTest.allCases)
    func writableCgroupIsThatOfTheContainersRoot(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/stat", "-c", "%u", "/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids.max"],
                ".linux.cgroupsPath = \":pre:\(fixture.mark)\" | \(OCIFixture.cgroupMount("rw"))")
            let output = try await fixture.runtime.with("--systemd-cgroup").run(
                "run", "--bundle", fixture.bundle.string, "c1")
            #expect(output.lines.map(String.init) == ["0", "0", "65534"], "\(output)")
        }
    }

    @Test func pathOfTheOtherDriverIsRefused() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(["/bin/true"])
            let output = try await fixture.runtime.with("--systemd-cgroup").run(
                "run", "--bundle", fixture.bundle.string, "c1")
            #expect(output.code == 1)
            #expect(output.standardError.contains("linux.cgroupsPath"), "\(output)")
        }
    }

    private func show(_ unit: String) async throws -> [String: String] {
        let lines = try await Program.system("systemctl").check("show", unit).lines
        return Dictionary(
            lines.map { line in
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
            }
        ) { first, _ in first }
    }
}

extension Program {
    /// With one more of its leading arguments.
    func with(_ argument: String) -> Program { Program(path, arguments + [argument]) }
}
