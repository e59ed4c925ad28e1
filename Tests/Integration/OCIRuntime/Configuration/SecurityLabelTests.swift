internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `process.apparmorProfile` and `process.selinuxLabel`, on a kernel that has neither: to run without is no choice.
@Suite(.enabled(if: !hasSecurityModule)) struct OCISecurityLabelTests {
    @Test(
        arguments: RuntimeUnderTest.allCases,
        [(".process.apparmorProfile = \"box\"", "apparmor"), (".process.selinuxLabel = \"a:b:c:s0\"", "selinux")])
    func labelWithoutItsModuleIsRefused(
        _ kind: RuntimeUnderTest, _ label: (change: String, word: String)
    ) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell("echo ran", label.change)
            #expect(output.code == 1)
            #expect(output.standardOutput == "")
            #expect(output.standardError.lowercased().contains(label.word), "\(output)")
        }
    }
}

private let hasSecurityModule =
    (try? Files.readText("/sys/module/apparmor/parameters/enabled")) == "Y" || Files.exists("/sys/fs/selinux/enforce")
