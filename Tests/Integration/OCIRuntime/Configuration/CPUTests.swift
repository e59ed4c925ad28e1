internal import LinuxKernel
internal import Testing

/// `linux.resources.cpu`.
@Suite struct OCICPUTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func sharesAndQuotaReachTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change: ".linux.resources.cpu = {\"shares\": 512, \"quota\": 30000, \"period\": 50000}")
            if try fixture.cgroup.isUnified("cpu") {
                #expect(try fixture.cgroup.read("cpu", "cpu.max") == "30000 50000")
            } else {
                #expect(try fixture.cgroup.read("cpu", "cpu.shares") == "512")
                #expect(try fixture.cgroup.read("cpu", "cpu.cfs_quota_us") == "30000")
                #expect(try fixture.cgroup.read("cpu", "cpu.cfs_period_us") == "50000")
            }
        }
    }

    @Test(.enabled(if: hasCPUSet), arguments: RuntimeUnderTest.allCases)
    func processesStayOnTheirCPUsAndNodes(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "awk '/^(Cpus|Mems)_allowed_list/ { print $2 }' /proc/self/status",
                ".linux.resources.cpu = {\"cpus\": \"0\", \"mems\": \"0\"}")
            #expect(output.shown == ["0", "0"], "\(output)")
        }
    }

    @Test(.enabled(if: hasBurst), arguments: RuntimeUnderTest.knowing(.cpuBurst))
    func burstAndIdlenessReachTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change: ".linux.resources.cpu = {\"quota\": 30000, \"period\": 50000, \"burst\": 10000}")
            #expect(try fixture.limit("cpu", v1: "cpu.cfs_burst_us", v2: "cpu.max.burst") == "10000")
            try await fixture.runtime.check("delete", "--force", "c1")
            try await fixture.start(change: ".linux.resources.cpu = {\"idle\": 1}")
            #expect(try fixture.limit("cpu", v1: "cpu.idle", v2: "cpu.idle") == "1")
        }
    }

    private static let hasCPUSet =
        (try? CgroupHost.detect())?.hierarchies.contains { $0.controllers.contains("cpuset") } == true
    /// Since Linux 5.14 and 5.15.
    private static let hasBurst = KernelRelease.isAtLeast(5, 15)
}
