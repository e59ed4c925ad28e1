internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `events`.
@Suite struct OCIEventsTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func statisticsTellTheUseAndTheLimits(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change: ".linux.resources.memory = {\"limit\": 67108864} | .linux.resources.pids = {\"limit\": 33}")
            let events = try await fixture.runtime.check("events", "--stats", "c1").standardOutput
            let told = try await Program.system("jq").check(
                "-c",
                """
                [.type, .id, .data.pids.current, .data.pids.limit, .data.memory.usage.limit,
                 .data.memory.usage.usage > 0, .data.cpu.usage.total > 0]
                """, input: events)
            #expect(told.standardOutput == "[\"stats\",\"c1\",1,33,67108864,true,true]\n", "\(events)")
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await fixture.waitUntilStopped()
            #expect(try await fixture.runtime.run("events", "--stats", "c1").code == 1)
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.pressureStatistics))
    func statisticsHaveTheirFieldsInAnOrderThatReadersKnow(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start()
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

    /// Until the container ends; whom the kernel killed for its memory is told between them.
    @Test(arguments: RuntimeUnderTest.allCases)
    func eventsGoOnUntilTheContainersEnd(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".linux.resources.memory = {\"limit\": 16777216, \"swap\": 16777216}")
            let told = fixture.scratch.appending("events")
            let events = try Spawn.spawn(
                executable: "/bin/sh",
                arguments: ["sh", "-c", "exec \(fixture.call) events --interval 100ms c1 > \(told) 2>&1"],
                environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            func count(_ type: String) -> Int {
                ((try? Files.readText(told)) ?? "").ranges(of: "{\"type\":\"\(type)\",\"id\":\"c1\"").count
            }
            try await eventually("statistics") { count("stats") > 1 }
            _ = try await fixture.exec("x=12345678; while :; do x=$x$x; done")
            try await eventually("the kill") { count("oom") > 0 }
            try await fixture.runtime.check("delete", "--force", "c1")
            #expect(try await events.wait() == .exited(0))
        }
    }
}
