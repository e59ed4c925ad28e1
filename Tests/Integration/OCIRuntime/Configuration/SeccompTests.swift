internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `linux.seccomp`. mkdir(2) is mkdirat(2) on some architectures, and so on.
@Suite struct OCISeccompTests {
    private static func filter(_ rules: String, _ more: String = "") -> String {
        """
        .mounts += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}]
        | .linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [\(rules)]\(more)}
        """
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func callsFailWithTheirNumbers(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            // A name that nobody knows is no error; ENOSPC is 28.
            let output = try await fixture.shell(
                "mkdir /tmp/a 2>&1; ln -s x /tmp/b 2>&1; mv /bin/true /tmp/c 2>&1; touch /tmp/d && ls /tmp",
                Self.filter(
                    """
                    {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
                    {"names": ["symlink", "symlinkat"], "action": "SCMP_ACT_ERRNO"},
                    {"names": ["rename", "renameat", "renameat2"], "action": "SCMP_ACT_TRACE"}
                    """))
            let words = ["No space left on device", "Operation not permitted", "Function not implemented"]
            #expect(output.shown.count == 4 && output.shown.last == "d", "\(output)")
            for (line, words) in zip(output.shown, words) { #expect(line.hasSuffix(words), "\(output)") }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func argumentsAreCompared(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            func deny(_ call: String, _ index: Int, _ comparison: String, _ value: Int, _ more: String = "") -> String {
                """
                {"names": ["\(call)"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13,
                 "args": [{"index": \(index), "value": \(value), "op": "SCMP_CMP_\(comparison)"\(more)}]}
                """
            }
            // The set-user-ID bit, in the one or the other call; SIGUSR1 is 10, and signals from 60 on.
            let bit = ", \"valueTwo\": 2048"
            let output = try await fixture.shell(
                """
                touch /tmp/f; chmod 4711 /tmp/f 2> /dev/null || echo 4711; chmod 711 /tmp/f || echo 711
                for s in 10 12 59 60 64; do kill -$s 2 2>&1 | grep -o 'Permission denied' && echo $s; done; true
                """,
                Self.filter(
                    [
                        deny("chmod", 1, "MASKED_EQ", 2048, bit), deny("fchmodat", 2, "MASKED_EQ", 2048, bit),
                        deny("kill", 1, "EQ", 10), deny("kill", 1, "GE", 60),
                    ].joined(separator: ", ")))
            let denied = ["10", "60", "64"].flatMap { ["Permission denied", $0] }
            #expect(output.shown == ["4711"] + denied, "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func callsEndTheirProcess(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            // SIGSYS is 31.
            let output = try await fixture.shell(
                "mkdir /tmp/a; echo $?; ln -s x /tmp/b; echo $?; mv /tmp/c /tmp/d; echo $?",
                Self.filter(
                    """
                    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"},
                    {"names": ["symlink", "symlinkat"], "action": "SCMP_ACT_TRAP"},
                    {"names": ["rename", "renameat", "renameat2"], "action": "SCMP_ACT_KILL"}
                    """))
            #expect(output.shown == ["159", "159", "159"], "\(output)")
        }
    }

    /// A list of what is permitted: the default is for all others.
    @Test(arguments: RuntimeUnderTest.allCases)
    func defaultActionIsForWhatIsNotNamed(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let names = Self.callsOfAShell.split(whereSeparator: \.isWhitespace).map { "\"\($0)\"" }
            let output = try await fixture.shell(
                "mkdir /tmp/a 2>&1; ls -d /tmp",
                """
                .linux.seccomp = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 12,
                    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
                    "syscalls": [{"names": [\(names.joined(separator: ", "))], "action": "SCMP_ACT_ALLOW"}]}
                """)
            #expect(output.shown.first?.hasSuffix("Cannot allocate memory") == true, "\(output)")
            #expect(output.shown.last == "/tmp", "\(output)")
        }
    }

    /// "The runtime MUST send the state of the container process to the listener", with the descriptor.
    @Test(arguments: RuntimeUnderTest.allCases)
    func listenerGetsTheDescriptorAndTheState(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let socket = fixture.scratch.appending("listener.sock")
            let listener = try Syscall.listen(socket, .stream)
            try await fixture.start(
                ["/bin/sh", "-c", "mkdir /tmp/a 2> /dev/null || echo refused"],
                change: Self.filter(
                    "{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_NOTIFY\"}",
                    ", \"listenerPath\": \"\(socket)\", \"listenerMetadata\": \"for the test\""))
            let connection = try Syscall.accept(listener.fd)
            let received = try Syscall.receive(from: connection.fd, limit: 65536, descriptorLimit: 1)
            #expect(received.descriptors.count == 1)
            let told = try await Program.system("jq").check(
                "-c", "[.fds, .metadata, .state.id, .state.status, .pid == .state.pid]",
                input: String(decoding: received.bytes, as: UTF8.self))
            #expect(told.standardOutput == "[[\"seccompFd\"],\"for the test\",\"c1\",\"creating\",true]\n")
        }
    }

    /// And of a runtime, from the filter to the exec.
    private static let callsOfAShell = """
        access arch_prctl brk capget capset chdir clone clone3 close close_range dup dup2 dup3 epoll_create1 epoll_ctl
        epoll_pwait execve execveat exit exit_group faccessat faccessat2 fchdir fcntl fstat fstatfs futex getcwd getdents64
        getegid geteuid getgid getgroups getpgrp getpid getppid getrandom gettid getuid ioctl lseek lstat madvise mmap
        mprotect munmap nanosleep newfstatat open openat pipe pipe2 poll ppoll prctl pread64 prlimit64 read readlink
        readlinkat rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list
        set_tid_address setgid setgroups setuid sigaltstack stat statfs statx sysinfo tgkill time uname vfork wait4 write
        writev
        """
}
