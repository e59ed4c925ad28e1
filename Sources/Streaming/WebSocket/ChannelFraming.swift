internal import Core

/// Kubernetes' channels over WebSocket: the first byte of a message says which channel it is of.
///
/// All channels are open from the start. In the base64 variants messages are text: the channel's digit, then base64.
/// Version 5 has a message that ends a channel: byte 255, then the channel's number.
struct ChannelFraming: Framing {
    static let closeSignal: UInt8 = 255

    private let isServer: Bool
    private let isBase64: Bool
    private let canEndChannels: Bool
    private var messages: WebSocketMessages
    private let channels: ClosedRange<UInt32>
    private var ended: Set<UInt32> = []
    /// Bytes of one message: fits into the read buffer of clients.
    private static let chunk = 16 << 10

    /// - Parameter channels: the numbers that mean something; messages for others are dropped.
    init(isServer: Bool, channels: ClosedRange<UInt32>, isBase64: Bool, canEndChannels: Bool) {
        messages = WebSocketMessages(isServer: isServer)
        self.isServer = isServer
        self.channels = channels
        self.isBase64 = isBase64
        self.canEndChannels = canEndChannels
    }

    mutating func receive(_ bytes: [UInt8]) throws -> [FramingEvent] {
        try messages.receive(bytes).compactMap { event throws -> FramingEvent? in
            switch event {
            case .closed: .closed
            case .message(let message, _): try take(message)
            }
        }
    }

    private mutating func take(_ message: [UInt8]) throws -> FramingEvent? {
        guard let first = message.first else { return nil }
        if !isBase64, canEndChannels, first == Self.closeSignal {
            guard message.count == 2, ended.insert(UInt32(message[1])).inserted else { return nil }
            return .ended(stream: UInt32(message[1]))
        }
        let channel = isBase64 ? UInt32(first) &- 0x30 : UInt32(first)
        guard channels.contains(channel), !ended.contains(channel) else { return nil }
        let payload = message.dropFirst()
        guard isBase64 else { return payload.isEmpty ? nil : .data(stream: channel, Array(payload)) }
        guard let decoded = Base64.decode(payload) else {
            throw BerthError(.invalidArgument, "a message of channel \(channel) is not base64")
        }
        return decoded.isEmpty ? nil : .data(stream: channel, decoded)
    }

    mutating func open(_ headers: [String: String]) throws -> UInt32 {
        throw BerthError(.unimplemented, "channels of WebSocket are not opened one by one")
    }

    /// An empty message of `channel`: the first of a server's, so that clients see the connection work.
    mutating func sendEmpty(on channel: UInt32) { write(channel, []) }

    mutating func send(_ bytes: ArraySlice<UInt8>, on channel: UInt32) -> Int {
        let part = bytes.prefix(Self.chunk)
        write(channel, part)
        return part.count
    }

    private mutating func write(_ channel: UInt32, _ bytes: ArraySlice<UInt8>) {
        if isBase64 {
            messages.send([UInt8(truncatingIfNeeded: channel) &+ 0x30] + Base64.encode(bytes), isText: true)
        } else {
            messages.send([UInt8(truncatingIfNeeded: channel)] + bytes, isText: false)
        }
    }

    func canSend(on channel: UInt32) -> Bool { true }

    /// Only version 5 can say it; the others end with the connection. A server's channels end with the connection too.
    mutating func end(_ channel: UInt32) {
        guard canEndChannels, !isServer else { return }
        messages.send([Self.closeSignal, UInt8(truncatingIfNeeded: channel)], isText: false)
    }

    mutating func reset(_ channel: UInt32) { ended.insert(channel) }

    /// TCP is the only flow control here.
    mutating func consumed(_ count: Int, of stream: UInt32) {}

    mutating func close() { messages.close() }

    mutating func takeOutput() -> [UInt8] { messages.takeOutput() }
}

/// A SPDY connection inside of WebSocket's binary messages: `SPDY/3.1+portforward.k8s.io`.
struct TunneledSPDY: Framing {
    private var messages: WebSocketMessages
    private var spdy: SPDYFraming

    init(isServer: Bool) {
        messages = WebSocketMessages(isServer: isServer)
        spdy = SPDYFraming(isServer: isServer)
    }

    mutating func receive(_ bytes: [UInt8]) throws -> [FramingEvent] {
        try messages.receive(bytes).flatMap { event throws -> [FramingEvent] in
            switch event {
            case .closed: [.closed]
            case .message(let message, _): try spdy.receive(message)
            }
        }
    }

    mutating func open(_ headers: [String: String]) throws -> UInt32 { try spdy.open(headers) }
    mutating func send(_ bytes: ArraySlice<UInt8>, on stream: UInt32) -> Int { spdy.send(bytes, on: stream) }
    func canSend(on stream: UInt32) -> Bool { spdy.canSend(on: stream) }
    mutating func end(_ stream: UInt32) { spdy.end(stream) }
    mutating func reset(_ stream: UInt32) { spdy.reset(stream) }
    mutating func consumed(_ count: Int, of stream: UInt32) { spdy.consumed(count, of: stream) }

    mutating func close() {
        spdy.close()
        flush()
        messages.close()
    }

    private mutating func flush() {
        let bytes = spdy.takeOutput()
        if !bytes.isEmpty { messages.send(bytes, isText: false) }
    }

    mutating func takeOutput() -> [UInt8] {
        flush()
        return messages.takeOutput()
    }
}
