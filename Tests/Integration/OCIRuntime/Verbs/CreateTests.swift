internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `create`.
@Suite struct OCICreateTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func createdContainerWaitsForItsStart(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sh", "-c", "echo ran"])
            let pidFile = fixture.scratch.appending("pid")
            try await fixture.detached("create --bundle \(fixture.bundle) --pid-file \(pidFile) c1")
            let state = try await fixture.state()
            #expect(state["status"] == "created")
            #expect(try Files.readText(pidFile) == state["pid"])
            let pid = try #require(state["pid"].flatMap { Int32($0) })
            #expect(try fixture.cgroup.pids() == [pid], "its process is in its cgroup")
            #expect(try Files.readText(fixture.log) == "")
            try await fixture.runtime.check("start", "c1")
            try await fixture.waitUntilStopped()
            #expect(try Files.readText(fixture.log) == "ran")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func idIsTakenOnce(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            try await fixture.detached("create --bundle \(fixture.bundle) c1")
            let again = try await fixture.runtime.run("create", "--bundle", fixture.bundle.string, "c1")
            #expect(again.code == 1)
            #expect(again.standardError.contains("container with given ID already exists"), "\(again)")
            #expect(try await fixture.state()["status"] == "created", "the first one is as it was")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func whatIsNoIDOrNoBundleIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.directory("state")
            try await fixture.configure(["/bin/true"])
            for arguments in [["--bundle", fixture.bundle.string, "../c1"], ["--bundle", "/none/such", "c1"], []] {
                let output = try await fixture.runtime.run(["create"] + arguments)
                #expect(output.code == 1, "\(output)")
                #expect(output.standardError != "", "\(output)")
            }
            #expect(try await fixture.runtime.check("list", "--quiet").standardOutput == "")
        }
    }
}
