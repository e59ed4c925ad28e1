internal import Core

/// Fields of a 512-byte header block (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").
enum TarHeader {
    static let blockSize = 512

    /// Offset and length of each field.
    enum Field {
        static let name = (0, 100)
        static let mode = (100, 8)
        static let owner = (108, 8)
        static let group = (116, 8)
        static let size = (124, 12)
        static let modified = (136, 12)
        static let checksum = (148, 8)
        static let type = 156
        static let linkName = (157, 100)
        static let magic = (257, 8)
        static let major = (329, 8)
        static let minor = (337, 8)
        static let prefix = (345, 155)
        /// Of GNU's type `S`: offset of the first extent, number of extents; the flag behind them says that a block of
        /// `moreExtents` follows.
        static let extents = (386, 4)
        static let realSize = (483, 12)
        static let moreExtents = (0, 21)
    }

    typealias Block = UnsafePointer<UInt8>

    static func isZero(_ block: Block) -> Bool {
        let words = UnsafeRawPointer(block)
        for offset in stride(from: 0, to: blockSize, by: 8)
        where words.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 {
            return false
        }
        return true
    }

    /// Sum of all bytes with the checksum field as spaces; old writers summed signed bytes.
    static func checksumMatches(_ block: Block) throws -> Bool {
        var unsigned = 0
        var signed = 0
        for index in 0..<blockSize {
            let byte = (148..<156).contains(index) ? 0x20 : block[index]
            unsigned &+= Int(byte)
            signed &+= Int(Int8(bitPattern: byte))
        }
        let stored = try number(block, Field.checksum, "checksum")
        return stored == unsigned || stored == signed
    }

    /// The bytes up to the first NUL or the end of the field.
    static func text(_ block: Block, _ field: (Int, Int)) -> UnsafeBufferPointer<UInt8> {
        var length = 0
        while length < field.1, block[field.0 + length] != 0 { length += 1 }
        return UnsafeBufferPointer(start: block + field.0, count: length)
    }

    /// Octal digits padded with spaces or NULs, or GNU's base-256 form with the top bit of the first byte set.
    static func number(_ block: Block, _ field: (Int, Int), _ what: String) throws -> Int64 {
        let (start, length) = field
        let first = block[start]
        if first & 0x80 != 0 {
            // Two's complement, big-endian; the marker bit is not part of the number.
            var value: Int64 = first & 0x40 != 0 ? -1 : 0
            for index in 0..<length {
                let byte = index == 0 ? (first & 0x40 != 0 ? first : first & 0x7f) : block[start + index]
                let overflows = value > Int64.max >> 8 || value < Int64.min >> 8
                guard !overflows else { throw malformed(what) }
                value = value << 8 | Int64(byte)
            }
            return value
        }
        var value: Int64 = 0
        var index = start
        let end = start + length
        while index < end, block[index] == 0x20 || block[index] == 0 { index += 1 }
        while index < end, (0x30...0x37).contains(block[index]) {
            guard value <= Int64.max >> 3 else { throw malformed(what) }
            value = value << 3 | Int64(block[index] - 0x30)
            index += 1
        }
        while index < end {
            guard block[index] == 0x20 || block[index] == 0 else { throw malformed(what) }
            index += 1
        }
        return value
    }

    static func malformed(_ what: String) -> BerthError {
        BerthError(.invalidArgument, "tar header has a malformed \(what)")
    }
}

extension SparseMap {
    /// Takes the extents of a header or extension block (offset and size of 12 bytes each).
    ///
    /// - Returns: whether another block follows.
    mutating func add(from block: TarHeader.Block, at field: (start: Int, count: Int)) throws -> Bool {
        let size = 12
        for index in 0..<field.count {
            let place = field.start + 2 * size * index
            // An empty field ends the list.
            if block[place + size] == 0 { break }
            try add(
                offset: TarHeader.number(block, (place, size), "map"),
                count: TarHeader.number(block, (place + size, size), "map"))
        }
        return block[field.start + 2 * size * field.count] != 0
    }
}
