internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `start`.
@Suite struct OCIStartTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func onlyACreatedContainerIsStarted(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            #expect(try await fixture.runtime.run("start", "c1").standardError.contains("container does not exist"))
            try await fixture.configure(["/bin/sleep", "1000"])
            try await fixture.detached("create --bundle \(fixture.bundle) c1")
            try await fixture.runtime.check("start", "c1")
            #expect(try await fixture.state()["status"] == "running")
            let running = try await fixture.runtime.run("start", "c1")
            #expect(running.code == 1)
            #expect(running.standardError.contains("already running"), "\(running)")
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await fixture.waitUntilStopped()
            let stopped = try await fixture.runtime.run("start", "c1")
            #expect(stopped.code == 1)
            #expect(stopped.standardError.contains("stopped"), "\(stopped)")
        }
    }

    /// "Any updates to config.json after this point MUST NOT affect the container."
    @Test(arguments: RuntimeUnderTest.allCases)
    func laterChangesOfTheConfigurationAreNotSeen(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/echo", "first"])
            try await fixture.detached("create --bundle \(fixture.bundle) c1")
            try await fixture.configure(["/bin/echo", "second"])
            try await fixture.runtime.check("start", "c1")
            try await fixture.waitUntilStopped()
            #expect(try Files.readText(fixture.log) == "first")
        }
    }
}
