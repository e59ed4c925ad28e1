internal import Testing

/// `linux.personality`.
@Suite struct OCIPersonalityTests {
    @Test(arguments: RuntimeUnderTest.knowing(.personality))
    func domainIsThatOfEachProcess(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let machine = try await Program.system("uname").check("-m").standardOutput
            try await fixture.start(change: ".linux.personality = {\"domain\": \"LINUX32\"}")
            let other = try await Program.system("setarch").check("linux32", "uname", "-m").standardOutput
            #expect(other != machine)
            let output = try await fixture.exec("uname -m")
            #expect(output.standardOutput == other, "\(output)")
            try await fixture.runtime.check("delete", "--force", "c1")
            let plain = try await fixture.output(
                of: ["/bin/uname", "-m"], ".linux.personality = {\"domain\": \"LINUX\"}")
            #expect(plain.standardOutput == machine, "\(plain)")
        }
    }
}
