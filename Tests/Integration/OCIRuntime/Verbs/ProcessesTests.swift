internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `ps`.
@Suite struct OCIProcessesTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func processesOfTheContainerAreListed(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(["/bin/sh", "-c", "sleep 1111 & sleep 2222; true"])
            let cgroup = try fixture.cgroup
            try await eventually("three processes") { try cgroup.pids().count == 3 }
            let json = try await fixture.runtime.check("ps", "--format", "json", "c1").standardOutput
            let listed = try await Program.system("jq").check("-c", "sort", input: json).standardOutput
            #expect(listed == "[\(try cgroup.pids().sorted().map(String.init).joined(separator: ","))]\n")

            // The table is `ps`'s own, which wants a boot time that user-mode Linux does not give.
            guard try await Program.system("ps").run("-ef").code == 0 else { return }
            let table = try await fixture.runtime.check("ps", "c1")
            #expect(table.lines.count == 4, "\(table)")
            #expect(table.standardOutput.contains("sleep 1111") && table.standardOutput.contains("sleep 2222"))
            let columns = try await fixture.runtime.check("ps", "c1", "-o", "pid,args")
            #expect(columns.lines.first?.split(separator: " ") == ["PID", "COMMAND"], "\(columns)")
        }
    }
}
