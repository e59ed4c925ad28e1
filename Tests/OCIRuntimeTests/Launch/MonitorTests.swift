internal import Core
internal import Glibc
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite(.enabled(if: geteuid() == 0)) struct MonitorTests {
    @Test func `a container is created, runs, and is started once only`() async throws {
        let scene = try LaunchScene()
        let launched = try await scene.launcher.launch(scene.plan("exec sleep 30"))
        #expect(launched.monitorPID > 0)
        #expect(launched.warnings == [])
        let state = try await scene.client.state()
        #expect(state.status == .created)
        #expect(state.pid == launched.pid)
        try await scene.client.start()
        #expect(try await scene.client.state().status == .running)
        await #expect(throws: BerthError.self) { try await scene.client.start() }
        // It is of a session of its own: what ends ours does not end it.
        #expect(getsid(launched.monitorPID) == launched.monitorPID)
        try await scene.client.signal(SIGKILL)
        let record = try await scene.end()
        #expect(record.exitCode == 137)
        #expect(record.signal == SIGKILL)
        let error = await #expect(throws: BerthError.self) { try await scene.client.start() }
        #expect(error?.code == .failedPrecondition)
    }

    @Test func `a program that cannot be executed fails the start`() async throws {
        let scene = try LaunchScene()
        let program = scene.rootfs.appending("bin/garbage")
        try Files.writeAtomically(program, Array("no program".utf8), mode: 0o755)
        _ = try await scene.launcher.launch(scene.plan("", program: "garbage"))
        let error = await #expect(throws: BerthError.self) { try await scene.client.start() }
        #expect(error?.description.contains("exec garbage: /bin/garbage: exec format error") == true)
        let record = try await scene.end()
        #expect(record.exitCode == 128)
        #expect(record.startedAt == 0)
    }

    @Test func `exec runs in the container's namespaces and returns its status`() async throws {
        let scene = try LaunchScene()
        let launched = try await scene.launcher.launch(scene.plan("exec sleep 30"))
        try await scene.client.start()
        let (read, write) = try Syscall.pipe()
        let session = try await scene.client.exec(
            scene.execPlan("echo here; test $$ -lt 100 && echo own; exit 3", in: launched.pid), stdout: write.fd)
        write.close()
        #expect(try await readAll(read) == "here\nown\n")
        let end = try await session.wait()
        #expect(end.code == 3 && end.signal == 0)
        let error = await #expect(throws: BerthError.self) {
            _ = try await scene.client.exec(scene.execPlan("", in: launched.pid, program: "no-such-program"))
        }
        #expect(error?.code == .notFound)
        try await scene.client.signal(SIGKILL)
        #expect(try await scene.end().exitCode == 137)
    }

    @Test func `an exec is killed when its session goes, where that was asked for`() async throws {
        let scene = try LaunchScene()
        let launched = try await scene.launcher.launch(scene.plan("exec sleep 30"))
        try await scene.client.start()
        var pid: Int32 = 0
        do {
            let session = try await scene.client.exec(scene.execPlan("sleep 30", in: launched.pid), killOnClose: true)
            pid = session.pid
            #expect(kill(pid, 0) == 0)
        }
        for _ in 0..<100 where kill(pid, 0) == 0 { try await Task.sleep(for: .milliseconds(20)) }
        #expect(kill(pid, 0) != 0)
        try await scene.client.signal(SIGKILL)
        _ = try await scene.end()
    }

    @Test func `an exec larger than a packet goes by a descriptor`() async throws {
        let scene = try LaunchScene()
        let launched = try await scene.launcher.launch(scene.plan("exec sleep 30"))
        try await scene.client.start()
        let large = String(repeating: "x", count: 100_000)
        let session = try await scene.client.exec(
            scene.execPlan("test \(large.count) = 100000 # \(large)", in: launched.pid))
        #expect(try await session.wait().code == 0)
        try await scene.client.signal(SIGKILL)
        _ = try await scene.end()
    }

    @Test func `a terminal has the size that it was given and is resized`() async throws {
        let scene = try LaunchScene()
        let launched = try await scene.launcher.launch(
            scene.plan(
                "stty size; until test -e /tmp/go; do sleep 0.02; done; stty size; test -c /dev/console && test -t 0; echo $?",
                terminal: true))
        try await scene.client.start()
        let session = try await scene.client.exec(
            scene.execPlan("stty size", in: launched.pid, terminal: true))
        let terminal = try #require(session.terminal)
        let size = try await readAll(terminal)
        #expect(size == "30 90\r\n")
        withExtendedLifetime(terminal) {}
        _ = try await session.wait()
        while try scene.log().isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        try await scene.client.resize(width: 132, height: 43)
        try scene.tell("go")
        #expect(try await scene.end().exitCode == 0)
        #expect(try scene.log() == ["stdout F 24 80\r", "stdout F 43 132\r", "stdout F 0\r"])
    }

    @Test func `an attached client writes stdin and reads what comes`() async throws {
        let scene = try LaunchScene()
        _ = try await scene.launcher.launch(scene.plan("cat; echo end >&2", stdin: true))
        let session = try await scene.client.attach(stdin: true, stdout: true, stderr: true)
        try await scene.client.start()
        try await session.write(Array("hello\n".utf8))
        #expect(try await session.next() == .stdout(Array("hello\n".utf8)))
        try await session.finishWriting()
        let next = try await session.next()
        #expect(next == .stderr(Array("end\n".utf8)))
        #expect(try await session.next() == nil)
        #expect(try await scene.end().exitCode == 0)
        #expect(try scene.log() == ["stdout F hello", "stderr F end"])
    }

    @Test func `a slow attached client loses nothing`() async throws {
        let scene = try LaunchScene()
        _ = try await scene.launcher.launch(scene.plan("seq 1 50000"))
        let session = try await scene.client.attach(stdin: false, stdout: true, stderr: false)
        try await scene.client.start()
        try await Task.sleep(for: .milliseconds(300))
        var bytes: [UInt8] = []
        var output = try await session.next()
        while case .stdout(let part) = output {
            bytes += part
            output = try await session.next()
        }
        #expect(String(decoding: bytes, as: UTF8.self).split(separator: "\n").count == 50_000)
        #expect(try await scene.end().exitCode == 0)
        #expect(try scene.log().count == 50_000)
    }

    @Test func `no line is lost while the log is rotated`() async throws {
        let scene = try LaunchScene()
        _ = try await scene.launcher.launch(
            scene.plan("until test -e /tmp/stop; do seq 1 2000; sleep 0.02; done"))
        try await scene.client.start()
        var old: [FilePath] = []
        for rotation in 1...3 {
            try await Task.sleep(for: .milliseconds(40))
            old.append(scene.scratch.path.appending("log.\(rotation)"))
            #expect(rename(scene.logPath.string, old[rotation - 1].string) == 0)
            try await scene.client.reopenLog()
        }
        try scene.tell("stop")
        #expect(try await scene.end().exitCode == 0)
        let texts = try (old + [scene.logPath]).map { try Files.read($0, limit: 256 << 20) }
        #expect(texts.allSatisfy { $0.isEmpty || $0.last == UInt8(ascii: "\n") })
        // Each line ends in its number, which is one more than that of the line before, or starts again.
        let numbers = texts.flatMap { $0.split(separator: UInt8(ascii: "\n")) }.map { line in
            Int(String(decoding: line.split(separator: UInt8(ascii: " ")).last ?? [], as: UTF8.self)) ?? -1
        }
        #expect(!numbers.isEmpty)
        #expect(numbers.count % 2000 == 0)
        #expect(numbers.enumerated().allSatisfy { $0.element == $0.offset % 2000 + 1 })
    }

    @Test func `stdin is closed for good`() async throws {
        let scene = try LaunchScene()
        _ = try await scene.launcher.launch(scene.plan("cat; exit 4", stdin: true))
        try await scene.client.start()
        try await scene.client.closeStdin()
        #expect(try await scene.end().exitCode == 4)
    }
}
