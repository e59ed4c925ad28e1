internal import Testing

/// `annotations`.
@Suite struct OCIAnnotationTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func stateAndHooksTellThem(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let told = fixture.scratch.appending("told").string
            try await fixture.start(
                change: """
                    .annotations = {"org.example/key": "a value, with \\"quotes\\"", "empty": ""}
                    | .hooks.createRuntime = [{"path": "/bin/sh", "args": ["sh", "-c", "cat > \(told)"]}]
                    """)
            let expected = "{\"empty\":\"\",\"org.example/key\":\"a value, with \\\"quotes\\\"\"}\n"
            let state = try await fixture.runtime.check("state", "c1").standardOutput
            #expect(
                try await Program.system("jq").check("-cS", ".annotations", input: state).standardOutput == expected)
            #expect(try await Program.system("jq").check("-cS", ".annotations", told).standardOutput == expected)
        }
    }
}
