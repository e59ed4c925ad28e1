internal import Testing

/// The verb `spec`.
@Suite struct OCISpecTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func configurationIsWrittenOnce(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.runtime.check("spec", "--bundle", fixture.bundle.string)
            let again = try await fixture.runtime.run("spec", workingDirectory: fixture.bundle)
            #expect(again.code == 1)
            #expect(again.standardError.contains("exists"), "\(again)")
        }
    }

    /// Without the name and what runc 1.2 changed: it masks more, and names no ambient capabilities, which had no effect.
    private static let common = """
        del(.ociVersion, .hostname, .process.capabilities.ambient)
        | .linux.maskedPaths |= (. - ["/proc/interrupts", "/sys/devices/virtual/powercap"] | sort)
        """

    /// Scripts that change it find the same in it, whoever wrote it.
    @Test(arguments: [[], ["--rootless"]])
    func itIsTheSameOfEachRuntime(_ options: [String]) async throws {
        var documents: [String] = []
        for kind in RuntimeUnderTest.allCases {
            let document = try await OCIFixture.with(kind) { fixture in
                let written = try await fixture.runtime.run(["spec"] + options, workingDirectory: fixture.bundle)
                #expect(written.code == 0, "\(written)")
                return try await Program.system("jq").check(
                    "-S", Self.common, fixture.bundle.string + "/config.json"
                ).standardOutput
            }
            documents.append(document)
        }
        #expect(documents.allSatisfy { $0.contains("\"readonlyPaths\"") })
        #expect(Set(documents).count == 1, "\(documents)")
    }
}
