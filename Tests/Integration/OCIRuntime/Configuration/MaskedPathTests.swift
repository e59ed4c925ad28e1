internal import Testing

/// `linux.maskedPaths`.
@Suite struct OCIMaskedPathTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func filesAndDirectoriesAreEmpty(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("bundle/rootfs/secret", "secret\n")
            try fixture.scratch.file("bundle/rootfs/hidden/file", "secret\n")
            let output = try await fixture.shell(
                "wc -c < /secret; ls /hidden | wc -l; touch /hidden/f 2> /dev/null || echo refused; head -c 1 /proc/kcore | wc -c",
                ".linux.maskedPaths += [\"/secret\", \"/hidden\", \"/none/such\"] | .root.readonly = false")
            #expect(output.shown == ["0", "0", "refused", "0"], "\(output)")
        }
    }
}
