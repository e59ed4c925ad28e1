internal import Testing

/// `linux.readonlyPaths`.
@Suite struct OCIReadonlyPathTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func pathsAreReadAndNotWritten(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("bundle/rootfs/kept/deep/file", "kept\n")
            let output = try await fixture.shell(
                """
                for f in /kept/deep/file /kept/new /free /proc/sys/kernel/domainname /proc/sysrq-trigger; do
                    (echo x > $f) 2> /dev/null && echo $f
                done; cat /kept/deep/file
                """, ".linux.readonlyPaths += [\"/kept\", \"/none/such\"] | .root.readonly = false")
            #expect(output.shown == ["/free", "kept"], "\(output)")
        }
    }
}
