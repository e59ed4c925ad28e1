internal import Testing

/// The verb `features`.
@Suite struct OCIFeaturesTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func whatTheRuntimeKnowsIsTold(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let features = try await fixture.runtime.check("features").standardOutput
            let told = try await Program.system("jq").check(
                "-c",
                """
                (.ociVersionMin | startswith("1.")), (.ociVersionMax | startswith("1.")), .hooks,
                (["bind", "rbind", "ro", "rro", "rslave", "tmpcopyup"] - .mountOptions),
                (["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] - .linux.namespaces),
                (["CAP_CHOWN", "CAP_SYS_ADMIN"] - .linux.capabilities), .linux.cgroup.v1, .linux.cgroup.v2,
                .linux.seccomp.enabled, (["SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY"] - .linux.seccomp.actions),
                (["SCMP_CMP_MASKED_EQ"] - .linux.seccomp.operators), (["SCMP_ARCH_X86_64"] - .linux.seccomp.archs)
                """, input: features)
            let hooks =
                "[\"prestart\",\"createRuntime\",\"createContainer\",\"startContainer\",\"poststart\",\"poststop\"]"
            #expect(
                told.shown.filter { $0 != "true" } == [hooks, "[]", "[]", "[]", "[]", "[]", "[]"], "\(told)")
        }
    }
}
