internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Options that stand before the verb.
@Suite struct OCIGlobalOptionTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func errorsGoToTheLogInItsFormat(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let log = fixture.scratch.appending("log.json").string
            let output = try await fixture.runtime.with("--log").with(log).with("--log-format").with("json").run(
                "state", "none")
            #expect(output.code == 1)
            #expect(output.standardError.contains("container does not exist"), "people read it, too: \(output)")
            let told = try await Program.system("jq").check("-c", "[.level, .msg, (.time | length > 18)]", log)
            #expect(told.standardOutput == "[\"error\",\"container does not exist\",true]\n", "\(told)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func unknownOptionOfAVerbIsLogged(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let log = fixture.scratch.appending("log")
            let output = try await fixture.runtime.with("--log").with(log.string).run("delete", "--forse", "c1")
            #expect(output.code == 1)
            #expect(try Files.readText(log).contains("forse"))
        }
    }

    /// As Go's flag parser has it, and containerd's shim writes it.
    @Test(arguments: RuntimeUnderTest.allCases)
    func oneDashIsAsGoodAsTwo(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            try await fixture.detached("run -detach -bundle=\(fixture.bundle) -no-subreaper c1")
            let exec = try await fixture.runtime.run(
                "exec", "-env", "A=b", "-cwd=/tmp", "c1", "/bin/sh", "-c", "echo $A $PWD $0 $1", "-user", "-tty")
            #expect(exec.standardOutput == "b /tmp -user -tty\n", "\(exec)")
            let shown = try await fixture.runtime.run("ps", "-format", "table", "c1", "-opid,comm")
            #expect(shown.shown.last?.hasSuffix("sleep") == true, "\(shown)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func versionNamesTheProgramAndTheSpecification(_ kind: RuntimeUnderTest) async throws {
        let shown = try await kind.program(root: "/none").check("--version").shown
        #expect(shown.first?.hasPrefix("\(kind.rawValue) version ") == true, "\(shown)")
        #expect(shown.contains { $0.hasPrefix("spec: 1.") }, "\(shown)")
    }

    @Test(arguments: RuntimeUnderTest.knowing(.plans))
    func debugTellsEachStep(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/true"])
            let log = fixture.scratch.appending("log").string
            let program = Program(
                fixture.runtime.path, fixture.runtime.arguments + ["--debug", "--log", log, "--log-format", "json"])
            #expect(try await program.check("run", "--bundle", fixture.bundle.string, "c1").standardError == "")
            let text = try Files.readText(FilePath(log), limit: 1 << 20)
            #expect(text.contains("\"level\":\"debug\""))
            #expect(text.contains(": exec /bin/true\""), "\(text.suffix(300))")
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.plans))
    func traceTellsTheTimeOfEachStep(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/true"])
            let output = try await fixture.runtime.with("--trace").check("run", "--bundle", "\(fixture.bundle)", "c1")
            let told = Self.traced(output.standardError)
            for words in ["read config.json", "compile the plan", "wait for the process"] {
                #expect(told.parts.contains(words), "\(output.standardError)")
            }
            #expect(told.parts.contains { $0.hasSuffix("(child): pivot into the root") })
            // Each step up to the exec, which leaves nobody to tell.
            #expect(told.steps.count > 10)
            #expect(told.steps.count + 1 == told.of)
        }
    }

    /// The words behind each number of milliseconds, and the steps of how many.
    private static func traced(_ text: String) -> (parts: [String], steps: [String], of: Int) {
        var parts: [String] = []
        for line in text.split(separator: "\n") {
            let columns = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
            if columns.count == 3, Double(columns[0]) != nil, columns[1] == "ms" {
                parts.append(String(columns[2].drop { $0 == " " }))
            }
        }
        let steps = parts.filter { $0.hasPrefix("step ") }
        let fields = (steps.last ?? "").split(separator: " ")
        return (parts, steps, fields.count > 3 ? Int(fields[3]) ?? 0 : 0)
    }
}
