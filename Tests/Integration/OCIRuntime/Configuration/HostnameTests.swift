internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `hostname` and `domainname`.
@Suite struct OCIHostnameTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func hostnameIsTheContainersAlone(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let own = try Files.readText("/proc/sys/kernel/hostname")
            let set = try await fixture.output(of: ["/bin/hostname"], ".hostname = \"box.inside\"")
            #expect(set.standardOutput == "box.inside\n", "\(set)")
            #expect(try Files.readText("/proc/sys/kernel/hostname") == own)
            let unset = try await fixture.output(of: ["/bin/hostname"], "del(.hostname)")
            #expect(unset.standardOutput == "\(own)\n", "\(unset)")
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.domainname))
    func domainnameIsTheContainersAlone(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let own = try Files.readText("/proc/sys/kernel/domainname")
            let set = try await fixture.output(
                of: ["/bin/cat", "/proc/sys/kernel/domainname"], ".domainname = \"inside\"")
            #expect(set.standardOutput == "inside\n", "\(set)")
            #expect(try Files.readText("/proc/sys/kernel/domainname") == own)
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func withoutAnOwnNamespaceItIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let refused = try await fixture.output(
                of: ["/bin/true"], ".hostname = \"inside\" | .linux.namespaces |= map(select(.type != \"uts\"))")
            #expect(refused.code == 1)
            #expect(refused.standardError.lowercased().contains("hostname"), "\(refused)")
        }
    }
}
