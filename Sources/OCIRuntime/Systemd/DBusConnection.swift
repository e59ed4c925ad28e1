internal import Core
internal import Glibc
internal import LinuxKernel
public import SystemPackage

/// A connection to a D-Bus server on a unix socket, for one call after the other.
public final class DBusConnection {
    private let socket: OwnedDescriptor
    private let address: FilePath
    private var received: [UInt8] = []
    private var signals: [DBusMessage] = []
    private var serial: UInt32 = 0

    /// Signals that nobody asked for yet; the oldest go first.
    private static let signalLimit = 1024
    /// Milliseconds that an answer may take.
    public static let patience: Int64 = 30_000

    /// - Parameter isBus: a message bus, where a client says Hello; else the peer itself is at the other end.
    public init(_ path: FilePath, isBus: Bool) throws {
        address = path
        do {
            socket = try Syscall.connect(path, .stream)
        } catch {
            throw BerthError(.unavailable, "connect to d-bus at \(path)", cause: error)
        }
        try authenticate()
        if isBus {
            _ = try call(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        }
    }

    /// EXTERNAL: the socket tells the server who we are; the name is our user ID, each digit in hexadecimal.
    private func authenticate() throws {
        let name = "\(Syscall.effectiveUserID)".utf8.map { String($0, radix: 16) }.joined()
        try write(Array("\0AUTH EXTERNAL \(name)\r\n".utf8))
        let deadline = Self.now() + Self.patience
        while !received.contains(UInt8(ascii: "\n")), received.count < 4096 { try fill(deadline) }
        let line = String(decoding: received.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
        guard line.hasPrefix("OK ") else {
            throw BerthError(
                .unauthenticated, "d-bus at \(address) refused user \(Syscall.effectiveUserID): \"\(line)\"")
        }
        received.removeAll()
        try write(Array("BEGIN\r\n".utf8))
    }

    /// Calls a method and waits for its answer.
    ///
    /// - Throws: `DBusFailure` where the other side answers with an error.
    public func call(
        _ destination: String, _ path: String, _ interface: String, _ member: String, _ body: [DBusValue] = []
    ) throws -> [DBusValue] {
        serial += 1
        let message = DBusMessage(
            .call, serial: serial, path: path, interface: interface, member: member, destination: destination,
            body: body)
        try write(message.encoded())
        let deadline = Self.now() + Self.patience
        var answer = try next(deadline)
        while answer.replySerial != serial || answer.kind == .signal {
            keep(answer)
            answer = try next(deadline)
        }
        if answer.kind == .error {
            throw DBusFailure(name: answer.errorName ?? "", message: answer.body.first?.text ?? "")
        }
        return answer.body
    }

    /// The next signal that `matches`, of those that came already or of those to come.
    public func signal(where matches: (DBusMessage) -> Bool) throws -> DBusMessage {
        if let index = signals.firstIndex(where: matches) { return signals.remove(at: index) }
        let deadline = Self.now() + Self.patience
        var message = try next(deadline)
        while message.kind != .signal || !matches(message) {
            keep(message)
            message = try next(deadline)
        }
        return message
    }

    private func keep(_ message: DBusMessage) {
        guard message.kind == .signal else { return }
        if signals.count >= Self.signalLimit { signals.removeFirst() }
        signals.append(message)
    }

    // MARK: Bytes

    private func next(_ deadline: Int64) throws -> DBusMessage {
        var length = try DBusMessage.length(of: received)
        while received.count < length ?? DBusMessage.fixedHeaderSize {
            try fill(deadline)
            length = try DBusMessage.length(of: received)
        }
        let message = Array(received.prefix(length ?? 0))
        received.removeFirst(message.count)
        return try DBusMessage(message)
    }

    private func fill(_ deadline: Int64) throws {
        let left = deadline - Self.now()
        let events = left > 0 ? try Syscall.poll([(socket.fd, events: 1)], timeout: Int32(clamping: left)) : [0]
        guard events[0] != 0 else {
            throw BerthError(.deadlineExceeded, "d-bus at \(address) did not answer within \(Self.patience / 1000) s")
        }
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        let count = try buffer.withUnsafeMutableBytes { try socket.fd.read(into: $0) }
        guard count > 0 else { throw BerthError(.unavailable, "d-bus at \(address) closed the connection") }
        received += buffer[..<count]
    }

    private func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            do {
                rest = rest.dropFirst(try Syscall.send(Array(rest), to: socket.fd))
            } catch {
                throw BerthError(.unavailable, "write to d-bus at \(address)", cause: error)
            }
        }
    }

    /// Milliseconds of a clock that nobody sets.
    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
