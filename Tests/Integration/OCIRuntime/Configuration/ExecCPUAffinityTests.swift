internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `process.execCPUAffinity`.
@Suite struct OCIExecCPUAffinityTests {
    @Test(
        .enabled(if: Files.exists("/sys/devices/system/cpu/cpu1")),
        arguments: RuntimeUnderTest.knowing(.execCPUAffinity))
    func finalOneIsThatOfWhatExecStarts(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: #".process.execCPUAffinity = {"initial": "0", "final": "1"}"#)
            let show = "awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status /proc/1/status"
            let output = try await fixture.exec(show)
            #expect(output.shown.first == "1", "\(output)")
            #expect(output.shown.last != "1" && output.shown.last != "0", "the first process has all CPUs: \(output)")
        }
    }
}
