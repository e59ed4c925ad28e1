internal import Testing

/// `process.noNewPrivileges`, also for what `exec` starts.
@Suite struct OCINoNewPrivilegesTests {
    @Test(arguments: RuntimeUnderTest.allCases, [true, false])
    func privilegesAreGainedOnlyWhereTheyMayBe(_ kind: RuntimeUnderTest, _ isSet: Bool) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".process.noNewPrivileges = \(isSet)")
            let show = "awk '/^NoNewPrivs/ { print $2 }' /proc/1/status /proc/self/status"
            let bit = isSet ? "1" : "0"
            let output = try await fixture.exec(show)
            #expect(output.shown == [bit, bit], "\(output)")
            let without = try await fixture.runtime.run("exec", "--no-new-privs", "c1", "/bin/sh", "-c", show)
            #expect(without.shown == [bit, "1"], "\(without)")
        }
    }
}
