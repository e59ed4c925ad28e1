internal import LinuxKernel
internal import SystemPackage
internal import Testing

@Suite struct PollerTests {
    @Test func aWaitEndsWhenDataComes() async throws {
        let (reading, writing) = try Syscall.pipe()
        async let ready: Void = Poller.shared.readable(reading.fd)
        try await Task.sleep(for: .milliseconds(20))
        try Files.writeAll(writing.fd, [1])
        try await ready
    }

    @Test func aWaitEndsWhenThePeerCloses() async throws {
        let (reading, writing) = try Syscall.pipe()
        async let ready: Void = Poller.shared.readable(reading.fd)
        try await Task.sleep(for: .milliseconds(20))
        writing.close()
        try await ready
    }

    @Test func readerAndWriterOfOneDescriptorWaitTogether() async throws {
        let (ours, theirs) = try Syscall.socketpair(.stream)
        async let readable: Void = Poller.shared.readable(ours.fd)
        async let again: Void = Poller.shared.readable(ours.fd)
        try await Poller.shared.writable(ours.fd)
        try Files.writeAll(theirs.fd, [1])
        try await readable
        try await again
    }

    @Test func aCancelledWaitThrowsAndTheDescriptorIsFree() async throws {
        let (reading, writing) = try Syscall.pipe()
        let task = Task { try await Poller.shared.readable(reading.fd) }
        try await Task.sleep(for: .milliseconds(20))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try Files.writeAll(writing.fd, [1])
        try await Poller.shared.readable(reading.fd)
    }

    @Test func aTaskThatIsCancelledBeforeNeverWaits() async throws {
        let (reading, _) = try Syscall.pipe()
        let task = Task {
            try? await Task.sleep(for: .seconds(10))
            try await Poller.shared.readable(reading.fd)
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func aRegularFileIsAlwaysReady() async throws {
        let file = try Syscall.open("/etc/passwd", .readOnly)
        try await Poller.shared.readable(file.fd)
    }

    @Test func manyWaitsAtOnce() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    let (reading, writing) = try Syscall.pipe()
                    async let ready: Void = Poller.shared.readable(reading.fd)
                    try Files.writeAll(writing.fd, [1])
                    try await ready
                }
            }
            try await group.waitForAll()
        }
    }
}

@Suite struct SpawnTests {
    @Test func theStatusOfAChildIsItsOwn() async throws {
        let exits = try Spawn.spawn(executable: "/bin/sh", arguments: ["sh", "-c", "exit 7"], environment: [])
        #expect(try await exits.wait() == .exited(7))
        let dies = try Spawn.spawn(executable: "/bin/sh", arguments: ["sh", "-c", "kill -9 $$"], environment: [])
        #expect(try await dies.wait() == .signalled(9))
        #expect(ExitStatus.signalled(9).code == 137)
    }

    @Test func aMissingProgramIsAnErrorOfTheSpawn() {
        #expect(throws: Errno.noSuchFileOrDirectory) {
            try Spawn.spawn(executable: "/no/such/program", arguments: ["x"], environment: [])
        }
    }

    @Test func onlyMappedDescriptorsReachTheChild() async throws {
        let (reading, writing) = try Syscall.pipe()
        let inheritable = try Syscall.pipe()
        try Syscall.setCloseOnExec(inheritable.read.fd, false)
        let child = try Spawn.spawn(
            executable: "/bin/ls", arguments: ["ls", "/proc/self/fd"], environment: [],
            descriptors: [(writing.fd, 1), (writing.fd, 5), (reading.fd, 3)])
        writing.close()
        #expect(try await child.wait() == .exited(0))
        let text = String(decoding: try Files.read(reading.fd, limit: 4096), as: UTF8.self)
        // 4 is the directory that ls reads.
        #expect(text.split(separator: "\n") == ["0", "1", "2", "3", "4", "5"])
    }

    @Test func descriptorsMayChangePlaces() async throws {
        let first = try Syscall.pipe()
        let second = try Syscall.pipe()
        // Each number is the source of one mapping and the target of the other.
        let child = try Spawn.spawn(
            executable: "/bin/bash",
            arguments: ["bash", "-c", "echo one >&\(second.write.rawValue); echo two >&\(first.write.rawValue)"],
            environment: [],
            descriptors: [(first.write.fd, second.write.rawValue), (second.write.fd, first.write.rawValue)])
        first.write.close()
        second.write.close()
        #expect(try await child.wait() == .exited(0))
        #expect(try Files.read(first.read.fd, limit: 10) == Array("one\n".utf8))
        #expect(try Files.read(second.read.fd, limit: 10) == Array("two\n".utf8))
    }
}
