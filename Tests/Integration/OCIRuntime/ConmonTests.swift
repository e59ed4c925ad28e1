internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// conmon called by hand, as CRI-O calls it: it makes the container, tells its PID over a pipe, writes the log in the
/// CRI's format, and leaves the exit status in a file.
@Suite struct ConmonTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func conmonKeepsContainerLogAndStatus(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sh", "-c", "echo out; echo err >&2; printf tail; exit 7"])
            let told = try await conmon(fixture, ["--cid", "c1", "--cuuid", "c1", "--name", "c1"])
            #expect(told.contains("{\"data\": "), "\(told)")
            try await fixture.runtime.check("start", "c1")
            try await eventually("the exit file") {
                (try? Files.readText(fixture.scratch.pushing("exits/c1"))) == "7"
            }
            let log = try Files.readText(fixture.scratch.appending("log")).split(separator: "\n").map {
                $0.split(separator: " ", maxSplits: 1).last ?? ""
            }
            #expect(log.sorted() == ["stderr F err", "stdout F out", "stdout P tail"], "\(log)")
            try await fixture.runtime.check("delete", "c1")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func conmonTakesTheTerminalFromTheConsoleSocket(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sh", "-c", "tty; exit 0"], ".process.terminal = true")
            let told = try await conmon(fixture, ["--cid", "c1", "--cuuid", "c1", "--name", "c1", "--terminal"])
            #expect(told.contains("{\"data\": "), "\(told)")
            try await fixture.runtime.check("start", "c1")
            try await eventually("the exit file") {
                (try? Files.readText(fixture.scratch.pushing("exits/c1"))) == "0"
            }
            #expect(try Files.readText(fixture.scratch.appending("log")).contains("stdout F /dev/pts/0\r"))
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func conmonRunsAnExecFromAProcessFile(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            _ = try await conmon(fixture, ["--cid", "c1", "--cuuid", "c1", "--name", "c1"])
            try await fixture.runtime.check("start", "c1")
            let process = try fixture.scratch.file(
                "process.json",
                """
                {"args": ["/bin/sh", "-c", "echo from-exec; pwd; exit 6"], "cwd": "/tmp", "env": ["PATH=/bin"],
                 "user": {"uid": 1000, "gid": 1000}}
                """)
            let told = try await conmon(
                fixture, ["--cid", "c1", "--cuuid", "e1", "--exec", "--exec-process-spec", process.string, "--sync"],
                status: 6)
            #expect(told.contains("{\"data\": "), "\(told)")
            #expect(try Files.readText(fixture.scratch.appending("log")).contains("stdout F from-exec"))
        }
    }

    /// Runs conmon over the fixture's bundle.
    ///
    /// - Parameter status: how conmon has to end, which with `--sync` is how the process ended.
    /// - Returns: what it told over its sync pipe: lines of JSON, the process's PID first.
    private func conmon(_ fixture: OCIFixture, _ more: [String], status: Int32 = 0) async throws -> String {
        for folder in ["exits", "persist", "sockets"] { _ = try fixture.scratch.directory(folder) }
        let sync = fixture.scratch.appending("sync").string
        let runtime = fixture.runtime
        let arguments =
            [
                Program.system("conmon").path.string, "--api-version", "1", "--runtime", runtime.path.string,
                "--bundle",
                fixture.bundle.string, "--container-pidfile", fixture.scratch.appending("pid").string, "--log-path",
                "k8s-file:\(fixture.scratch.appending("log"))", "--exit-dir", fixture.scratch.appending("exits").string,
                "--persist-dir", fixture.scratch.appending("persist").string, "--socket-dir-path",
                fixture.scratch.appending("sockets").string, "--log-level", "warning",
            ] + runtime.arguments.flatMap { ["--runtime-arg", $0] } + more
        // conmon goes on in the background; the file is read when the process that was started has ended.
        let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
        let ended = try await Program.system("sh").run(
            "-c", "_OCI_SYNCPIPE=3 \(quoted) 3> \(sync) > /dev/null 2> \(sync).err < /dev/null")
        #expect(ended.code == status, "\(ended)")
        try await eventually("conmon to tell") { !(try Files.readText(FilePath(sync))).isEmpty }
        return try Files.readText(FilePath(sync))
    }
}

extension ScratchDirectory {
    fileprivate func pushing(_ name: String) -> FilePath { path.pushing(FilePath(name)) }
}
