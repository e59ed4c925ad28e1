internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verbs `pause` and `resume`.
@Suite struct OCIPauseTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func pausedContainerStandsStill(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                ["/bin/sh", "-c", "i=0; while :; do i=$((i + 1)); echo $i > /tmp/count; sleep 0.01; done"],
                change:
                    ".mounts += [{\"destination\": \"/tmp\", \"type\": \"bind\", \"source\": \"\(fixture.scratch.path)\", "
                    + "\"options\": [\"bind\"]}]")
            func count() -> Int {
                (try? Files.readText(fixture.scratch.appending("count"))).flatMap { Int($0) } ?? 0
            }
            try await eventually("the counter") { count() > 0 }
            try await fixture.runtime.check("pause", "c1")
            #expect(try await fixture.state()["status"] == "paused")
            let held = count()
            try await Task.sleep(for: .milliseconds(100))
            #expect(count() == held)

            #expect(try await fixture.runtime.run("pause", "none").code == 1)
            try await fixture.runtime.check("resume", "c1")
            try await eventually("the counter to go on") { count() > held }
            #expect(try await fixture.state()["status"] == "running")
            #expect(try await fixture.runtime.run("resume", "c1").code == 1, "it is not paused")
        }
    }
}
