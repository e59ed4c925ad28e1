internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `plan`.
@Suite struct OCIPlanTests {
    @Test(arguments: RuntimeUnderTest.knowing(.plans))
    func stepsAreShownAndNothingIsMade(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/true"], ".hostname = \"inside\"")
            let before = try HostSnapshot(of: fixture.scratch.path, mark: fixture.mark)
            let plan = try await fixture.runtime.check("plan", "--bundle", fixture.bundle.string).standardOutput
            for words in ["inside", "pivot into the root", "set capabilities", "exec /bin/true"] {
                #expect(plan.contains(words), "\(words) in \(plan)")
            }
            #expect(try HostSnapshot(of: fixture.scratch.path, mark: fixture.mark).added(since: before) == [])
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.plans))
    func brokenConfigurationIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/true"], ".process.cwd = \"tmp\"")
            let output = try await fixture.runtime.run("plan", "--bundle", fixture.bundle.string)
            #expect(output.code == 1)
            #expect(output.standardError.contains("process.cwd"), "\(output)")
        }
    }
}
