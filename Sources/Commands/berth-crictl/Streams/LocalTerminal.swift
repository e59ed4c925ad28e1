internal import Core
private import Dispatch
private import Glibc
internal import LinuxKernel
internal import Streaming
private import SystemPackage
private import Terminal

/// This program's own stdio as the near side of an exec or attach.
final class LocalTerminal {
    private let saved: TerminalDevice.Settings?
    private let changes: (any DispatchSourceSignal)?
    private let sizes: AsyncStream<TerminalSize>

    /// - Parameter raw: keys go to the far side as they are; `restore()` takes that back.
    init(raw: Bool) throws {
        let (sizes, continuation) = AsyncStream.makeStream(
            of: TerminalSize.self, bufferingPolicy: .bufferingNewest(1))
        self.sizes = sizes
        guard raw, TerminalDevice.isTerminal(.standardInput) else {
            (saved, changes) = (nil, nil)
            continuation.finish()
            return
        }
        saved = try TerminalDevice.makeRaw(.standardInput)
        Self.tellSize(continuation)
        signal(SIGWINCH, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGWINCH, queue: .global())
        source.setEventHandler { Self.tellSize(continuation) }
        source.resume()
        changes = source
    }

    private static func tellSize(_ continuation: AsyncStream<TerminalSize>.Continuation) {
        guard let size = try? TerminalDevice.windowSize(.standardInput) else { return }
        continuation.yield(
            TerminalSize(columns: UInt16(clamping: size.columns), rows: UInt16(clamping: size.rows)))
    }

    func restore() {
        changes?.cancel()
        if let saved { try? TerminalDevice.restore(.standardInput, saved) }
    }

    /// - Parameters:
    ///   - stdin: whether the far side gets it.
    ///   - tty: the far side has a terminal, so that its output is one stream.
    func streams(stdin: Bool, tty: Bool) -> CommandStreams {
        var streams = CommandStreams()
        if stdin {
            let detachable = saved != nil
            let keys = DetachKeys()
            streams.stdin = {
                guard let bytes = try await Self.read() else { return nil }
                if detachable, await keys.complete(bytes) { throw DetachKeys.Detached() }
                return bytes
            }
        }
        streams.stdout = { TerminalOutput.standardOutput.write($0) }
        if !tty { streams.stderr = { TerminalOutput.standardError.write($0) } }
        let source = SizeSource(sizes)
        streams.sizes = { await source.next() }
        return streams
    }

    private static func read() async throws -> [UInt8]? {
        try await Poller.shared.readable(.standardInput)
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        let count = Glibc.read(0, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return Array(buffer[..<count])
    }
}

/// Ctrl-P, then Ctrl-Q: the keys that leave the far side alone.
actor DetachKeys {
    struct Detached: Error {}

    private static let sequence: [UInt8] = [0x10, 0x11]
    private var matched = 0

    /// - Returns: whether the sequence ends in `bytes`.
    func complete(_ bytes: [UInt8]) -> Bool {
        for byte in bytes {
            matched = byte == Self.sequence[matched] ? matched + 1 : byte == Self.sequence[0] ? 1 : 0
            if matched == Self.sequence.count { return true }
        }
        return false
    }
}

private actor SizeSource {
    private var iterator: AsyncStream<TerminalSize>.Iterator

    init(_ stream: AsyncStream<TerminalSize>) { iterator = stream.makeAsyncIterator() }

    func next() async -> TerminalSize? {
        var copy = iterator
        let size = await copy.next(isolation: self)
        iterator = copy
        return size
    }
}

/// Joins this program's stdio to what a URL of the runtime's stands for.
enum StreamJoining {
    /// - Returns: the exit code; 0 where the user detached.
    static func run(
        _ url: String, transport: StreamTransport, stdin: Bool, tty: Bool
    ) async throws -> Int32 {
        let terminal = try LocalTerminal(raw: tty && stdin)
        defer { terminal.restore() }
        do {
            return try await StreamingClient.run(
                url: url, transport: transport, tty: tty, streams: terminal.streams(stdin: stdin, tty: tty))
        } catch is DetachKeys.Detached {
            return 0
        }
    }
}
