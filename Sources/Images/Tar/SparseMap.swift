internal import Core

/// Which parts of a sparse file an archive holds; everything between them is zeros.
struct SparseMap {
    /// Of one file. A real one has a few thousand at most.
    static let extentLimit = 100_000

    private(set) var extents: [TarEntry.Extent] = []
    /// Bytes of all extents.
    private(set) var stored: Int64 = 0
    private var end: Int64 = 0

    /// In the order of the file, without overlap. An empty extent only marks the file's end.
    mutating func add(offset: Int64, count: Int64) throws {
        let (stop, overflows) = offset.addingReportingOverflow(count)
        guard offset >= end, count >= 0, !overflows else { throw Self.malformed("map") }
        guard extents.count < Self.extentLimit else {
            throw BerthError(
                .resourceExhausted, "sparse file in tar archive has more than \(Self.extentLimit) pieces")
        }
        if count > 0 { extents.append(TarEntry.Extent(offset: offset, count: count)) }
        stored += count
        end = stop
    }

    /// - Throws: `BerthError` (`invalidArgument`) unless the extents are within `size` and are all of the archive's `content`.
    func check(size: Int64, content: Int64) throws {
        guard end <= size, stored == content else { throw Self.malformed("map") }
    }

    static func malformed(_ what: String) -> BerthError {
        BerthError(.invalidArgument, "sparse file in tar archive has a malformed \(what)")
    }
}

/// What the headers say of a sparse file, in one of GNU tar's four formats (GNU tar manual, "Storing Sparse Files"): the type `S`,
/// or PAX records of version 0.0, 0.1 or 1.0.
struct SparseHeader {
    /// The file's own name, where the header has a made-up one for readers that know nothing of sparse files.
    private(set) var name: [UInt8]?
    /// The file's size with its holes.
    var size: Int64?
    var map = SparseMap()
    private var major: Int64 = 0
    private var minor: Int64 = 0
    /// Version 0.0 has the two numbers of an extent in two records.
    private var offset: Int64?

    static let prefix = "GNU.sparse."

    /// Version 1.0: the map is at the beginning of the content.
    var hasMapInContent: Bool { major == 1 }

    /// A PAX record `GNU.sparse.KEY`.
    mutating func take(_ key: Substring, _ value: ArraySlice<UInt8>) throws {
        switch key {
        case "major": major = try Self.number(value)
        case "minor": minor = try Self.number(value)
        case "name": name = value.isEmpty ? nil : Array(value)
        case "size", "realsize": size = try Self.number(value)
        case "offset": offset = try Self.number(value)
        case "numbytes":
            guard let start = offset else { throw SparseMap.malformed("map") }
            try map.add(offset: start, count: Self.number(value))
            offset = nil
        case "map":
            map = SparseMap()
            var numbers = value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)[...]
            if value.isEmpty { numbers = [] }
            while let start = numbers.popFirst() {
                guard let count = numbers.popFirst() else { throw SparseMap.malformed("map") }
                try map.add(offset: Self.number(start), count: Self.number(count))
            }
        default: break
        }
        guard major <= 1, major == 0 || minor == 0 else {
            throw BerthError(.unimplemented, "sparse file in tar archive is of unknown version \(major).\(minor)")
        }
    }

    private static func number(_ value: ArraySlice<UInt8>) throws -> Int64 {
        var result: Int64 = 0
        guard (1...18).contains(value.count) else { throw SparseMap.malformed("number") }
        for byte in value {
            guard (0x30...0x39).contains(byte) else { throw SparseMap.malformed("number") }
            result = result * 10 + Int64(byte - 0x30)
        }
        return result
    }
}

/// The map in the content of version 1.0: decimal numbers with a newline each, how many extents there are and then offset and
/// size of each, padded to whole blocks.
struct SparseMapScanner {
    private(set) var map = SparseMap()
    /// Numbers that are still to come; `nil` before the first.
    private var left: Int?
    private var offset: Int64?
    private var value: Int64 = 0
    private var digits = 0

    var isComplete: Bool { left == 0 }

    mutating func take(_ block: TarHeader.Block) throws {
        for index in 0..<TarHeader.blockSize where !isComplete {
            let byte = block[index]
            if byte == UInt8(ascii: "\n"), digits > 0 {
                try take(value)
                (value, digits) = (0, 0)
            } else {
                guard (0x30...0x39).contains(byte), digits < 18 else { throw SparseMap.malformed("map") }
                value = value * 10 + Int64(byte - 0x30)
                digits += 1
            }
        }
    }

    private mutating func take(_ number: Int64) throws {
        guard let known = left else {
            guard number <= SparseMap.extentLimit else {
                throw BerthError(
                    .resourceExhausted, "sparse file in tar archive has more than \(SparseMap.extentLimit) pieces")
            }
            left = 2 * Int(number)
            return
        }
        if let start = offset {
            try map.add(offset: start, count: number)
            offset = nil
        } else {
            offset = number
        }
        left = known - 1
    }
}
