internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `process.terminal` and `process.consoleSize`.
@Suite struct OCITerminalTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func terminalIsSentToTheConsoleSocket(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                [
                    "/bin/sh", "-c",
                    "stty size; tty; stat -c %t:%T /dev/console; test -t 0 && test -t 1 && test -t 2 && echo all",
                ],
                ".process.terminal = true | .process.consoleSize = {\"height\": 33, \"width\": 77}")
            let socket = fixture.scratch.appending("console.sock")
            let listener = try Syscall.listen(socket, .stream)
            try await fixture.detached("run --detach --console-socket \(socket) --bundle \(fixture.bundle) c1")
            let connection = try Syscall.accept(listener.fd)
            let received = try Syscall.receive(from: connection.fd, limit: 4096, descriptorLimit: 1)
            let terminal = try #require(received.descriptors.first)
            // pts/0 of the container's own devpts: major 136 (0x88).
            #expect(try Self.text(of: terminal.fd) == "33 77\r\n/dev/pts/0\r\n88:0\r\nall\r\n")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func detachedTerminalNeedsASocketAndASocketATerminal(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let verb = ["run", "--detach", "--bundle", fixture.bundle.string]
            try await fixture.configure(["/bin/true"], ".process.terminal = true")
            let without = try await fixture.runtime.run(verb + ["c1"])
            #expect(without.code == 1)
            #expect(without.standardError.contains("without setting console socket"), "\(without)")
            try await fixture.configure(["/bin/true"])
            let with = try await fixture.runtime.run(verb + ["--console-socket", "/none", "c1"])
            #expect(with.code == 1)
            #expect(with.standardError.contains("console socket"), "\(with)")
        }
    }

    /// All that is written to a terminal until nobody has it open any more, which is told as EIO.
    private static func text(of terminal: FileDescriptor) throws -> String {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while let count = try? chunk.withUnsafeMutableBytes({ try terminal.read(into: $0) }), count > 0 {
            text += chunk.prefix(count)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
