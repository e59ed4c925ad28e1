/// Two logical connections on one socket: plugin and daemon are each a server on one of them and a client on the other.
///
/// Each piece of bytes has a heading: number of the connection and length of the piece, four bytes each, big-endian.
enum Multiplexing {
    /// The plugin serves here.
    static let pluginService: UInt32 = 1
    /// The daemon serves here.
    static let runtimeService: UInt32 = 2

    static let headingLength = 8
    /// A message of ttrpc with its heading.
    static let pieceLimit = TTRPCFrame.headingLength + TTRPCFrame.dataLimit
    /// Plugins in Go read a piece whole, into a buffer of this size, or, what is beyond the first, into the message's own.
    static let firstPiece = 4096

    /// - Parameter message: one whole message of ttrpc.
    static func encode(_ message: [UInt8], on connection: UInt32) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(message.count + 2 * headingLength)
        for piece in [message.prefix(firstPiece), message.dropFirst(firstPiece)] where !piece.isEmpty {
            result.append(bigEndian: connection)
            result.append(bigEndian: UInt32(piece.count))
            result += piece
        }
        return result
    }
}

/// Takes the pieces apart again.
struct Demultiplexer {
    private var queue = ByteQueue()
    /// What is to come still of the piece that has begun.
    private var current: (connection: UInt32, remaining: Int)?

    mutating func append(_ bytes: some Collection<UInt8>) {
        queue.append(bytes)
    }

    /// The next bytes of a connection, as far as they are there.
    ///
    /// - Throws: `ProtocolViolation` for a piece that is too large.
    mutating func next() throws(ProtocolViolation) -> (connection: UInt32, bytes: ArraySlice<UInt8>)? {
        while true {
            if let (connection, remaining) = current {
                let count = min(remaining, queue.count)
                guard count > 0, let bytes = queue.take(count) else {
                    if remaining > 0 { return nil }
                    current = nil
                    continue
                }
                current = count == remaining ? nil : (connection, remaining - count)
                return (connection, bytes)
            }
            guard let connection = queue.peekUInt32(at: 0), let length = queue.peekUInt32(at: 4) else { return nil }
            guard length <= Multiplexing.pieceLimit else {
                throw ProtocolViolation("a piece of \(length) bytes is larger than \(Multiplexing.pieceLimit)")
            }
            _ = queue.take(Multiplexing.headingLength)
            current = (connection, Int(length))
        }
    }
}

/// What the far end sent is not the protocol's; the connection is of no use any more.
struct ProtocolViolation: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
