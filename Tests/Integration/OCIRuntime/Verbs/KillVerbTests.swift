internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `kill`.
@Suite struct OCIKillTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func signalsGoByNameAndNumber(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                [
                    "/bin/sh", "-c",
                    "trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.02; done",
                ])
            var told = ["ready"]
            try await eventually("the traps") { try Files.readText(fixture.log) == "ready" }
            for (signal, word) in [("USR1", "usr1"), ("SIGUSR1", "usr1"), ("sighup", "hup"), ("1", "hup")] {
                try await fixture.runtime.check("kill", "c1", signal)
                told.append(word)
                try await eventually("signal \(signal)") {
                    try Files.readText(fixture.log).split(separator: "\n").count == told.count
                }
            }
            try await fixture.runtime.check("kill", "c1")
            try await fixture.waitUntilStopped()
            #expect(try Files.readText(fixture.log).split(separator: "\n").map(String.init) == told + ["term"])
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func whatCannotBeSentIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let none = try await fixture.runtime.run("kill", "c1", "TERM")
            #expect(none.code == 1)
            #expect(none.standardError.contains("container does not exist"), "\(none)")
            try await fixture.start()
            let unknown = try await fixture.runtime.run("kill", "c1", "NOSUCH")
            #expect(unknown.code == 1)
            #expect(unknown.standardError.contains("unknown signal"), "\(unknown)")
            #expect(try await fixture.state()["status"] == "running")
            try await fixture.runtime.check("kill", "c1", "9")
            try await fixture.waitUntilStopped()
            let stopped = try await fixture.runtime.run("kill", "c1", "TERM")
            #expect(stopped.code == 1)
            #expect(stopped.standardError.contains("container not running"), "\(stopped)")
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.killOfSharedPIDs))
    func killEndsEveryProcessThatSharesTheHostsPIDs(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".linux.namespaces |= map(select(.type != \"pid\"))")
            try await fixture.detached("exec --detach --pid-file \(fixture.scratch.path)/pid c1 sleep 1000")
            let pid = try #require(Int32(try Files.readText(fixture.scratch.appending("pid"))))
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await eventually("the second process to end") { ProcessStatus.read(pid)?.isAlive != true }
            // Whoever is gone already is no error with --all, and one without.
            #expect(try await fixture.runtime.run("kill", "--all", "c1", "0").code == 0)
            let stopped = try await fixture.runtime.run("kill", "c1", "0")
            #expect(stopped.code == 1)
            #expect(stopped.standardError.contains("container not running"))
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func killAllReachesEveryProcess(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            // The host's PID namespace: nothing ends by itself with the first process.
            try await fixture.start(
                ["/bin/sh", "-c", "trap : TERM; sleep 1000 & sleep 1000 & wait; wait; wait"],
                change: ".linux.namespaces |= map(select(.type != \"pid\"))")
            let cgroup = try fixture.cgroup
            try await eventually("three processes") { try cgroup.pids().count == 3 }
            try await fixture.runtime.check("kill", "--all", "c1", "TERM")
            // The sleeps end, and the shell with its last wait.
            try await eventually("the processes to end") { try cgroup.pids().isEmpty }
            try await fixture.runtime.check("delete", "c1")
        }
    }
}
