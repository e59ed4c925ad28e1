internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `state`.
@Suite struct OCIStateTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func statusFollowsTheLifecycle(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            try await fixture.detached("create --bundle \(fixture.bundle) c1")
            let created = try await fixture.state()
            #expect(created["id"] == "c1")
            #expect(created["bundle"] == fixture.bundle.string)
            #expect(created["rootfs"] == fixture.bundle.appending("rootfs").string)
            #expect(created["ociVersion"]?.hasPrefix("1.") == true)
            var told = [created]
            for verb in ["start", "pause", "resume"] {
                try await fixture.runtime.check(verb, "c1")
                told.append(try await fixture.state())
            }
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await fixture.waitUntilStopped()
            told.append(try await fixture.state())
            #expect(told.map { $0["status"] } == ["created", "running", "paused", "running", "stopped"])
            #expect(Set(told.dropLast().map { $0["pid"] }).count == 1)
            #expect(told.last?["pid"] == "0")
            #expect(Set(told.map { $0["created"] }).count == 1)
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func containerThatIsNotThereHasNone(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let gone = try await fixture.runtime.run("state", "c1")
            #expect(gone.code == 1)
            #expect(gone.standardOutput == "")
            #expect(gone.standardError.contains("container does not exist"), "\(gone)")
        }
    }
}
