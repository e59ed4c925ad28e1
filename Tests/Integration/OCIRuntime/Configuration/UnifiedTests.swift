internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `linux.resources.unified`: files of cgroup v2 by their names.
@Suite(.enabled(if: (try? CgroupHost.detect())?.layout == .unified)) struct OCIUnifiedTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func filesAreWrittenByTheirNames(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change:
                    ".linux.resources.unified = {\"memory.high\": \"50331648\", \"pids.max\": \"77\", \"cpu.weight\": \"42\"}"
            )
            #expect(try fixture.cgroup.read("memory", "memory.high") == "50331648")
            #expect(try fixture.cgroup.read("pids", "pids.max") == "77")
            #expect(try fixture.cgroup.read("cpu", "cpu.weight") == "42")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases, ["memory.none", "../pids.max"])
    func fileThatIsNotThereIsRefused(_ kind: RuntimeUnderTest, _ file: String) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell("echo ran", ".linux.resources.unified = {\"\(file)\": \"1\"}")
            #expect(output.code == 1, "\(output)")
            #expect(output.standardOutput == "")
        }
    }
}
