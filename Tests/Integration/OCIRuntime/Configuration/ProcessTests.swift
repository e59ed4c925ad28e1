internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `process.args`, `process.env` and `process.cwd`.
@Suite struct OCIProcessTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func argumentsAndEnvironmentComeAsTheyAre(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let script = #"""
                for a in "$0" "$@"; do echo "<$a>"; done; echo "<$A>"
                echo $$; tr '\0' '\n' < /proc/1/environ | grep -c ^A=
                """#
            let output = try await fixture.output(
                of: ["/bin/sh", "-c", script, "zero", "", "two words", "a\"quote", "ünï"],
                #".process.env += ["A=first", "A=b  c=d"]"#)
            #expect(
                output.shown == ["<zero>", "<>", "<two words>", "<a\"quote>", "<ünï>", "<b  c=d>", "1", "1"],
                "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func programIsLookedForOnThePathOfItsOwnEnvironment(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("bundle/rootfs/opt/greet", "#!/bin/sh\necho hello $1\n", mode: 0o755)
            let output = try await fixture.output(of: ["greet", "you"], #".process.env = ["PATH=/none:/opt"]"#)
            #expect(output.standardOutput == "hello you\n", "\(output)")
            let missing = try await fixture.output(of: ["greet", "you"], #".process.env = ["PATH=/none"]"#)
            #expect(missing.code != 0)
            #expect(missing.standardError.contains("greet"), "\(missing)")
        }
    }

    /// Below a root that is read-only, too.
    @Test(arguments: RuntimeUnderTest.allCases)
    func directoryIsMadeWhereItIsMissing(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.output(of: ["/bin/pwd"], #".process.cwd = "/made/for/this""#)
            #expect(output.standardOutput == "/made/for/this\n", "\(output)")
        }
    }
}
