/// How streams share one connection, free of I/O: bytes and calls in, events and bytes out.
///
/// SPDY/3.1, the channels of Kubernetes over WebSocket, and the one inside the other are its implementations.
protocol Framing {
    /// Takes what the peer sent.
    ///
    /// - Throws: `BerthError` where the peer broke the protocol; the connection is to be closed then.
    mutating func receive(_ bytes: [UInt8]) throws -> [FramingEvent]

    /// Opens a stream to the peer.
    mutating func open(_ headers: [String: String]) throws -> UInt32

    /// - Returns: how many of `bytes` go out now; what is left waits for the peer's window.
    mutating func send(_ bytes: ArraySlice<UInt8>, on stream: UInt32) -> Int

    /// Whether `send` would take a byte.
    func canSend(on stream: UInt32) -> Bool

    /// Nothing more comes from us on this stream.
    mutating func end(_ stream: UInt32)

    /// Neither side is to send more.
    mutating func reset(_ stream: UInt32)

    /// So many bytes of the stream were used: the peer may send as many more.
    mutating func consumed(_ count: Int, of stream: UInt32)

    /// Says that the connection ends.
    mutating func close()

    /// What is to be written to the connection, once.
    mutating func takeOutput() -> [UInt8]
}

enum FramingEvent: Equatable, Sendable {
    /// By the peer, with headers by lower-case name.
    case opened(stream: UInt32, headers: [String: String])
    /// The peer took a stream that we opened.
    case accepted(stream: UInt32)
    case data(stream: UInt32, [UInt8])
    case ended(stream: UInt32)
    case reset(stream: UInt32)
    /// The peer wants to close the connection.
    case closed
}
