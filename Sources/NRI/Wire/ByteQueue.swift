/// Bytes that came from a socket and are taken from the front, piece by piece.
struct ByteQueue {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }

    mutating func append(_ more: some Collection<UInt8>) {
        // What was taken goes when that costs no more than what is added.
        if start > 0, start >= bytes.count - start {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    /// - Returns: `nil` where there are fewer.
    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard self.count >= count else { return nil }
        defer { start += count }
        return bytes[start..<start + count]
    }

    /// The big-endian number `offset` bytes from the front; nothing is taken.
    func peekUInt32(at offset: Int) -> UInt32? {
        guard count >= offset + 4 else { return nil }
        return bytes[start + offset..<start + offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

extension [UInt8] {
    mutating func append(bigEndian value: UInt32) {
        for shift in [24, 16, 8, 0] { append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
}
