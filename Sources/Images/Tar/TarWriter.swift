internal import Core

/// Writes a tar archive (POSIX.1-2001 ustar with PAX headers where a field does not fit) whose bytes depend on nothing but the
/// entries.
public struct TarWriter {
    private let sink: (UnsafeRawBufferPointer) throws -> Void
    /// Bytes of the current entry's content that are still to come.
    private var remaining: Int64 = 0
    private var padding = 0

    /// - Parameter sink: takes the archive's bytes in order.
    public init(_ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) {
        self.sink = sink
    }

    /// Writes an entry with all of its content.
    public mutating func add(_ entry: TarEntry, content: [UInt8] = []) throws {
        var entry = entry
        entry.size = Int64(content.count)
        try begin(entry)
        try content.withUnsafeBytes { try write($0) }
        try end()
    }

    /// Begins an entry; exactly `entry.size` bytes of content have to follow with `write`, then `end`.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) for an extended attribute whose name a PAX record cannot hold.
    public mutating func begin(_ entry: TarEntry) throws {
        guard remaining == 0, entry.size >= 0 else {
            throw BerthError(.internal, "a tar entry begins before the last one has ended, or has a negative size")
        }
        for attribute in entry.attributes where attribute.name.contains(UInt8(ascii: "=")) {
            throw BerthError(
                .invalidArgument,
                "\(TarReader.shown(entry.path)): extended attribute \(TarReader.shown(attribute.name)) has a = in its name"
            )
        }
        let records = TarHeaderEncoder.records(of: entry)
        if !records.isEmpty {
            var extended = TarEntry(path: Array("PaxHeaders/".utf8) + entry.path.suffix(80))
            extended.size = Int64(records.count)
            try emit(TarHeaderEncoder.header(of: extended, type: UInt8(ascii: "x")))
            try emit(records)
            try emit([UInt8](repeating: 0, count: Self.padding(of: Int64(records.count))))
        }
        try emit(TarHeaderEncoder.header(of: entry, type: TarHeaderEncoder.type(of: entry.kind)))
        remaining = entry.size
        padding = Self.padding(of: entry.size)
    }

    /// - Throws: `BerthError` (`internal`) for more content than the entry's size.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard Int64(bytes.count) <= remaining else {
            throw BerthError(.internal, "a tar entry got more content than its size; the file grew while it was read")
        }
        remaining -= Int64(bytes.count)
        if !bytes.isEmpty { try sink(bytes) }
    }

    /// - Throws: `BerthError` (`internal`) for less content than the entry's size.
    public mutating func end() throws {
        guard remaining == 0 else {
            throw BerthError(
                .internal, "a tar entry lacks \(remaining) bytes of content; the file shrank while it was read")
        }
        if padding > 0 { try emit([UInt8](repeating: 0, count: padding)) }
        padding = 0
    }

    /// The two zero blocks that end an archive.
    public mutating func finish() throws {
        try emit([UInt8](repeating: 0, count: 1024))
    }

    private func emit(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try sink($0) }
    }

    private static func padding(of size: Int64) -> Int {
        Int((512 - size % 512) % 512)
    }
}

/// The 512-byte header and the PAX records of an entry (pax(1), "pax Header Block").
enum TarHeaderEncoder {
    static func type(of kind: TarEntry.Kind) -> UInt8 {
        switch kind {
        case .regular: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symlink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }

    /// What the header has no room for: `LENGTH KEY=VALUE\n` each.
    static func records(of entry: TarEntry) -> [UInt8] {
        var bytes: [UInt8] = []
        if needsRecord(entry.path, limit: 100) { bytes += record("path", entry.path) }
        if needsRecord(entry.linkTarget, limit: 100) { bytes += record("linkpath", entry.linkTarget) }
        if entry.size > octalLimit(digits: 11) { bytes += record("size", Array("\(entry.size)".utf8)) }
        if entry.owner > octalLimit(digits: 7) { bytes += record("uid", Array("\(entry.owner)".utf8)) }
        if entry.group > octalLimit(digits: 7) { bytes += record("gid", Array("\(entry.group)".utf8)) }
        if entry.modifiedNanoseconds != 0 || entry.modifiedSeconds < 0
            || entry.modifiedSeconds > octalLimit(digits: 11)
        {
            bytes += record("mtime", Array(time(entry).utf8))
        }
        for attribute in entry.attributes {
            bytes += record(Array("SCHILY.xattr.".utf8) + attribute.name, attribute.value)
        }
        return bytes
    }

    static func header(of entry: TarEntry, type: UInt8) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: some Collection<UInt8>, at offset: Int) {
            for (index, byte) in bytes.enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int64, digits: Int, at offset: Int) {
            let clamped = min(max(value, 0), octalLimit(digits: digits))
            let text = String(clamped, radix: 8)
            put(String(repeating: "0", count: digits - text.utf8.count).utf8, at: offset)
            put(text.utf8, at: offset + digits - text.utf8.count)
        }
        put(entry.path.prefix(100), at: 0)
        octal(Int64(entry.mode & 0o7777), digits: 7, at: 100)
        octal(Int64(entry.owner), digits: 7, at: 108)
        octal(Int64(entry.group), digits: 7, at: 116)
        octal(entry.size, digits: 11, at: 124)
        octal(entry.modifiedSeconds, digits: 11, at: 136)
        put("        ".utf8, at: 148)
        header[156] = type
        put(entry.linkTarget.prefix(100), at: 157)
        put("ustar".utf8, at: 257)
        put("00".utf8, at: 263)
        octal(Int64(entry.deviceMajor), digits: 7, at: 329)
        octal(Int64(entry.deviceMinor), digits: 7, at: 337)
        // The checksum counts its own field as eight spaces.
        octal(Int64(header.reduce(0) { $0 + Int($1) }), digits: 6, at: 148)
        header[154] = 0
        return header
    }

    private static func needsRecord(_ name: [UInt8], limit: Int) -> Bool {
        name.count > limit || name.contains { $0 >= 0x80 }
    }

    private static func octalLimit(digits: Int) -> Int64 { (1 << (3 * Int64(digits))) - 1 }

    private static func time(_ entry: TarEntry) -> String {
        guard entry.modifiedNanoseconds != 0 else { return "\(entry.modifiedSeconds)" }
        // -0.25 s is second -1 and 750 000 000 ns.
        let negative = entry.modifiedSeconds < 0
        let seconds = negative ? -(entry.modifiedSeconds + 1) : entry.modifiedSeconds
        let nanoseconds = negative ? 1_000_000_000 - entry.modifiedNanoseconds : entry.modifiedNanoseconds
        let fraction = "\(nanoseconds)"
        return (negative ? "-" : "") + "\(seconds)." + String(repeating: "0", count: 9 - fraction.utf8.count) + fraction
    }

    /// The length counts itself.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] { record(Array(key.utf8), value) }

    private static func record(_ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
        let rest = [0x20] + key + [UInt8(ascii: "=")] + value + [UInt8(ascii: "\n")]
        var length = rest.count + 1
        while rest.count + "\(length)".utf8.count != length { length = rest.count + "\(length)".utf8.count }
        return Array("\(length)".utf8) + rest
    }
}
