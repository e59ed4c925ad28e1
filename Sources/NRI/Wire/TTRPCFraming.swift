/// A message of ttrpc (its PROTOCOL.md): ten bytes of heading, then data.
///
///     4  length of the data, big-endian
///     4  stream, big-endian; odd, as the client numbers its calls
///     1  kind
///     1  flags, of which calls with one request and one answer have none
struct TTRPCFrame: Equatable {
    enum Kind: UInt8 {
        case request = 1
        case response = 2
        /// Of streams, which NRI does not have.
        case data = 3
    }

    static let headingLength = 10
    static let dataLimit = 4 << 20

    var stream: UInt32
    var kind: Kind
    var data: [UInt8]

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headingLength + data.count)
        bytes.append(bigEndian: UInt32(data.count))
        bytes.append(bigEndian: stream)
        bytes += [kind.rawValue, 0]
        return bytes + data
    }
}

/// Finds frames in the bytes of one connection.
struct TTRPCDecoder {
    enum Item: Equatable {
        case frame(TTRPCFrame)
        /// One that is longer than allowed; its data was passed over.
        case oversized(stream: UInt32, kind: TTRPCFrame.Kind, length: Int)
    }

    private var queue = ByteQueue()
    /// Of an oversized frame: what is to come still.
    private var skipping = 0

    mutating func append(_ bytes: some Collection<UInt8>) {
        queue.append(bytes)
    }

    /// - Throws: `ProtocolViolation` for a kind that does not exist, or flags of a stream.
    mutating func next() throws(ProtocolViolation) -> Item? {
        if skipping > 0 {
            let count = min(skipping, queue.count)
            _ = queue.take(count)
            skipping -= count
            if skipping > 0 { return nil }
        }
        guard queue.count >= TTRPCFrame.headingLength, let length = queue.peekUInt32(at: 0),
            let stream = queue.peekUInt32(at: 4), let last = queue.peekUInt32(at: 6)
        else { return nil }
        let (number, flags) = (UInt8(last >> 8 & 0xFF), UInt8(last & 0xFF))
        guard let kind = TTRPCFrame.Kind(rawValue: number) else {
            throw ProtocolViolation("a message of kind \(number)")
        }
        guard flags == 0, kind != .data else {
            throw ProtocolViolation(
                "a message of a stream (kind \(number), flags \(flags)); there are only single calls")
        }
        if length > TTRPCFrame.dataLimit {
            _ = queue.take(TTRPCFrame.headingLength)
            skipping = Int(length)
            return .oversized(stream: stream, kind: kind, length: Int(length))
        }
        guard queue.count >= TTRPCFrame.headingLength + Int(length) else { return nil }
        _ = queue.take(TTRPCFrame.headingLength)
        guard let data = queue.take(Int(length)) else { return nil }
        return .frame(TTRPCFrame(stream: stream, kind: kind, data: Array(data)))
    }
}
