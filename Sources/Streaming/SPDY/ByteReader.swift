internal import Core

/// Reads numbers in network order out of bytes that somebody else wrote.
struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: some Collection<UInt8>) { rest = Array(bytes)[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func bytes(_ count: Int) throws -> [UInt8] {
        guard count <= rest.count else {
            throw BerthError(.invalidArgument, "a frame ends \(count - rest.count) bytes too early")
        }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func uint32() throws -> UInt32 { try bytes(4).reduce(0) { $0 << 8 | UInt32($1) } }

    mutating func text(_ count: UInt32) throws -> String { String(decoding: try bytes(Int(count)), as: UTF8.self) }

    mutating func remaining() -> [UInt8] {
        defer { rest = [] }
        return Array(rest)
    }
}

extension UInt32 {
    var bigEndianBytes: [UInt8] { (0..<4).reversed().map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }
    var bigEndian24: [UInt8] { Array(bigEndianBytes[1...]) }
}

extension UInt16 {
    var bigEndianBytes: [UInt8] { [UInt8(self >> 8), UInt8(truncatingIfNeeded: self)] }
}
