internal import Core

/// A frame of SPDY/3.1: control frames whole, data frames by their head. Sections are of the SPDY/3 draft.
enum SPDYFrame: Equatable {
    /// 2.6.1. The header block is compressed, and so only understood in order.
    case openStream(id: UInt32, block: [UInt8], end: Bool)
    /// 2.6.2
    case reply(id: UInt32, block: [UInt8], end: Bool)
    /// 2.6.3
    case reset(id: UInt32, status: UInt32)
    /// 2.6.4: values by identifier.
    case settings([UInt32: UInt32])
    /// 2.6.5
    case ping(UInt32)
    /// 2.6.6
    case goAway(lastStream: UInt32, status: UInt32)
    /// 2.6.7
    case headers(id: UInt32, block: [UInt8], end: Bool)
    /// 2.6.8; stream 0 is the connection (SPDY/3.1).
    case windowUpdate(id: UInt32, delta: UInt32)
    /// To be skipped: 2.2.1.
    case unknown(type: UInt16)

    static let version: UInt16 = 3
    static let finFlag: UInt8 = 0x01
    static let initialWindowSetting: UInt32 = 7

    enum ResetStatus {
        static let protocolError: UInt32 = 1
        static let invalidStream: UInt32 = 2
        static let refusedStream: UInt32 = 3
        static let cancel: UInt32 = 5
    }

    var encoded: [UInt8] {
        switch self {
        case .openStream(let id, let block, let end):
            // No stream is associated, priority and slot are 0.
            Self.control(1, end, id.bigEndianBytes + [0, 0, 0, 0, 0, 0] + block)
        case .reply(let id, let block, let end): Self.control(2, end, id.bigEndianBytes + block)
        case .reset(let id, let status): Self.control(3, false, id.bigEndianBytes + status.bigEndianBytes)
        case .settings(let values):
            Self.control(
                4, false,
                UInt32(values.count).bigEndianBytes
                    + values.sorted { $0.key < $1.key }.flatMap {
                        [0] + $0.key.bigEndian24 + $0.value.bigEndianBytes
                    })
        case .ping(let id): Self.control(6, false, id.bigEndianBytes)
        case .goAway(let last, let status): Self.control(7, false, last.bigEndianBytes + status.bigEndianBytes)
        case .headers(let id, let block, let end): Self.control(8, end, id.bigEndianBytes + block)
        case .windowUpdate(let id, let delta): Self.control(9, false, id.bigEndianBytes + delta.bigEndianBytes)
        case .unknown(let type): Self.control(type, false, [])
        }
    }

    private static func control(_ type: UInt16, _ end: Bool, _ payload: [UInt8]) -> [UInt8] {
        (0x8000 | version).bigEndianBytes + type.bigEndianBytes + [end ? finFlag : 0]
            + UInt32(payload.count).bigEndian24 + payload
    }

    /// The 8 bytes before `length` bytes of data: 2.2.2.
    static func dataHead(id: UInt32, length: Int, end: Bool) -> [UInt8] {
        id.bigEndianBytes + [end ? finFlag : 0] + UInt32(length).bigEndian24
    }

    /// - Parameter head: the 8 bytes before `payload`.
    static func control(head: [UInt8], payload: [UInt8]) throws -> SPDYFrame {
        let version = UInt16(head[0] & 0x7F) << 8 | UInt16(head[1])
        guard version == Self.version else {
            throw BerthError(.invalidArgument, "a SPDY frame of version \(version), not \(Self.version)")
        }
        let end = head[4] & finFlag != 0
        var reader = ByteReader(payload)
        func stream() throws -> UInt32 { try reader.uint32() & 0x7FFF_FFFF }
        let type = UInt16(head[2]) << 8 | UInt16(head[3])
        switch type {
        case 1:
            let id = try stream()
            _ = try reader.bytes(6)
            return .openStream(id: id, block: reader.remaining(), end: end)
        case 2: return .reply(id: try stream(), block: reader.remaining(), end: end)
        case 3: return .reset(id: try stream(), status: try reader.uint32())
        case 4:
            var values: [UInt32: UInt32] = [:]
            let count = try reader.uint32()
            guard count <= 64 else { throw BerthError(.invalidArgument, "a SPDY frame of \(count) settings") }
            for _ in 0..<count {
                let id = try reader.uint32() & 0xFF_FFFF
                values[id] = try reader.uint32()
            }
            return .settings(values)
        case 6: return .ping(try reader.uint32())
        case 7: return .goAway(lastStream: try stream(), status: try reader.uint32())
        case 8: return .headers(id: try stream(), block: reader.remaining(), end: end)
        case 9: return .windowUpdate(id: try stream(), delta: try stream())
        default: return .unknown(type: type)
        }
    }
}
