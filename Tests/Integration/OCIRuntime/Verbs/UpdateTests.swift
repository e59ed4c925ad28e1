internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `update`.
@Suite struct OCIUpdateTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func limitsChangeByOptionsAndByDocuments(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change: ".linux.resources.pids = {\"limit\": 50} | .linux.resources.memory = {\"limit\": 67108864}")
            func pids() throws -> String { try fixture.cgroup.read("pids", "pids.max") }
            func memory() throws -> String {
                try fixture.limit("memory", v1: "memory.limit_in_bytes", v2: "memory.max")
            }
            #expect(try pids() == "50")
            try await fixture.runtime.check("update", "--pids-limit", "-1", "c1")
            #expect(try pids() == "max")
            #expect(try memory() == "67108864", "what is not named stays")
            try await fixture.runtime.check("update", "--pids-limit=60", "--memory", "96M", "c1")
            #expect(try pids() == "60")
            #expect(try memory() == "100663296")
            try await fixture.runtime.check("update", "--memory", "-1", "c1")
            #expect(try memory() != "100663296")
            try await fixture.runtime.check("update", "--resources", "-", "c1", input: "{\"pids\": {\"limit\": 70}}")
            #expect(try pids() == "70")
            let file = try fixture.scratch.file("resources.json", "{\"memory\": {\"limit\": 50331648}}").string
            try await fixture.runtime.check("update", "-r", file, "c1")
            #expect(try memory() == "50331648")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func shareOfTheCPUChanges(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".linux.resources.cpu = {\"quota\": 30000, \"period\": 50000}")
            func quota() throws -> String {
                let cgroup = try fixture.cgroup
                return cgroup.isUnified("cpu")
                    ? try cgroup.read("cpu", "cpu.max")
                    : try "\(cgroup.read("cpu", "cpu.cfs_quota_us")) \(cgroup.read("cpu", "cpu.cfs_period_us"))"
            }
            #expect(try quota() == "30000 50000")
            try await fixture.runtime.check("update", "--cpu-quota", "40000", "c1")
            #expect(try quota() == "40000 50000", "the period stays")
            try await fixture.runtime.check("update", "--cpu-period", "80000", "--cpu-quota", "20000", "c1")
            #expect(try quota() == "20000 80000")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func whatIsNoLimitIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".linux.resources.pids = {\"limit\": 50}")
            #expect(try await fixture.runtime.run("update", "--memory", "much", "c1").code == 1)
            #expect(try await fixture.runtime.run("update", "--resources", "/none/such", "c1").code == 1)
            #expect(try await fixture.runtime.run("update", "--pids-limit", "5", "none").code == 1)
            #expect(try fixture.cgroup.read("pids", "pids.max") == "50")
        }
    }
}
