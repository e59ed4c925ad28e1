internal import Testing

/// `process.rlimits`, also for what `exec` starts.
@Suite struct OCIRlimitTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func limitsHoldForEachProcess(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change: """
                    .process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}, {"type": "RLIMIT_FSIZE", "soft": 4096, "hard": 8192}]
                    | .mounts += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]
                    """)
            // In blocks of 512 bytes where they are of bytes; SIGXFSZ is 25. The soft limit of open files is the first process's
            // alone: the Go of runc 1.1 raises that of what exec starts now and then.
            let output = try await fixture.exec(
                """
                ulimit -Hn; ulimit -Hc; ulimit -f; ulimit -Hf
                awk '/open files/ { print $4, $5 }' /proc/1/limits
                head -c 5000 /dev/zero > /tmp/f; echo $?; wc -c < /tmp/f
                """)
            #expect(output.shown == ["200", "0", "8", "16", "100 200", "153", "4096"], "\(output)")
        }
    }
}
