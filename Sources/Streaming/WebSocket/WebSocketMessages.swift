internal import Core

/// One end of a WebSocket connection (RFC 6455): messages out of frames and back, pings answered, closing.
struct WebSocketMessages {
    /// Bytes of one message, whatever frames it comes in.
    static let messageLimit = 1 << 20

    enum Opcode: UInt8 {
        case continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10
    }

    enum Event: Equatable {
        case message([UInt8], isText: Bool)
        /// The peer closes; it was answered.
        case closed
    }

    private let isServer: Bool
    private var input: [UInt8] = []
    private var message: [UInt8] = []
    private var messageIsText: Bool?
    private(set) var closed = false
    private var output: [UInt8] = []

    init(isServer: Bool) { self.isServer = isServer }

    mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    mutating func receive(_ bytes: [UInt8]) throws -> [Event] {
        input += bytes
        var at = 0
        var events: [Event] = []
        while let frame = try nextFrame(&at) {
            if let event = try handle(frame) { events.append(event) }
        }
        input.removeFirst(at)
        return events
    }

    private struct Frame {
        var final: Bool
        var opcode: Opcode
        var payload: [UInt8]
    }

    /// Section 5.2.
    private func nextFrame(_ at: inout Int) throws -> Frame? {
        let available = input.count - at
        guard available >= 2 else { return nil }
        let (first, second) = (input[at], input[at + 1])
        guard first & 0x70 == 0, let opcode = Opcode(rawValue: first & 0x0F) else {
            throw BerthError(.invalidArgument, "a WebSocket frame starts with byte \(first), which means nothing here")
        }
        let masked = second & 0x80 != 0
        guard masked == isServer else {
            throw BerthError(
                .invalidArgument,
                isServer ? "a WebSocket frame of a client is not masked" : "a WebSocket frame of a server is masked")
        }
        var head = 2
        var length = Int(second & 0x7F)
        if length >= 126 {
            let size = length == 126 ? 2 : 8
            guard available >= head + size else { return nil }
            let value = input[at + head..<at + head + size].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard value <= UInt64(Self.messageLimit) else {
                throw BerthError(.resourceExhausted, "a WebSocket frame of \(value) bytes, over \(Self.messageLimit)")
            }
            length = Int(value)
            head += size
        }
        if opcode.rawValue >= 8, length > 125 || first & 0x80 == 0 {
            throw BerthError(.invalidArgument, "a WebSocket control frame of \(length) bytes, or a part of one")
        }
        let mask = masked ? 4 : 0
        guard available >= head + mask + length else { return nil }
        var payload = Array(input[at + head + mask..<at + head + mask + length])
        if masked {
            let key = Array(input[at + head..<at + head + 4])
            for i in payload.indices { payload[i] ^= key[i & 3] }
        }
        at += head + mask + length
        return Frame(final: first & 0x80 != 0, opcode: opcode, payload: payload)
    }

    private mutating func handle(_ frame: Frame) throws -> Event? {
        switch frame.opcode {
        case .ping:
            write(.pong, frame.payload)
            return nil
        case .pong: return nil
        case .close:
            if !closed { write(.close, Array(frame.payload.prefix(2))) }
            closed = true
            return .closed
        case .text, .binary:
            guard messageIsText == nil else {
                throw BerthError(.invalidArgument, "a WebSocket message starts within another one")
            }
            messageIsText = frame.opcode == .text
        case .continuation:
            guard messageIsText != nil else {
                throw BerthError(.invalidArgument, "a WebSocket message goes on that never began")
            }
        }
        guard message.count + frame.payload.count <= Self.messageLimit else {
            throw BerthError(.resourceExhausted, "a WebSocket message of more than \(Self.messageLimit) bytes")
        }
        message += frame.payload
        guard frame.final else { return nil }
        defer {
            message = []
            messageIsText = nil
        }
        return .message(message, isText: messageIsText == true)
    }

    mutating func send(_ payload: [UInt8], isText: Bool) {
        guard !closed else { return }
        write(isText ? .text : .binary, payload)
    }

    /// - Parameter code: section 7.4.1; 1000 is a normal end.
    mutating func close(code: UInt16 = 1000) {
        guard !closed else { return }
        closed = true
        write(.close, code.bigEndianBytes)
    }

    private mutating func write(_ opcode: Opcode, _ payload: [UInt8]) {
        output.append(0x80 | opcode.rawValue)
        let mask: UInt8 = isServer ? 0 : 0x80
        switch payload.count {
        case 0..<126: output.append(mask | UInt8(payload.count))
        case 126..<65536: output += [mask | 126] + UInt16(payload.count).bigEndianBytes
        default: output += [mask | 127, 0, 0, 0, 0] + UInt32(payload.count).bigEndianBytes
        }
        guard !isServer else {
            output += payload
            return
        }
        // Against proxies that take what a page makes its browser send for HTTP; any key does for us.
        let key = UInt32.random(in: .min ... .max).bigEndianBytes
        output += key
        output += payload.indices.map { payload[$0] ^ key[$0 & 3] }
    }
}
