internal import Core

/// Reads a tar archive as a stream: ustar, PAX (POSIX.1-2001) and GNU extensions.
///
/// Of sparse files the content comes without their holes. The archive ends with a zero block or with the stream; what follows the zero block is padding by
/// convention and is skipped.
final class TarReader {
    private let input: TarInput
    private let limits: TarLimits
    private var entries = 0
    private var content: Int64 = 0
    /// Bytes of the current entry's content that nobody has read yet, and its padding to a whole block.
    private var unread: Int64 = 0
    private var padding: Int64 = 0
    private var global = PAXRecords()
    private var ended = false

    init(_ source: any ChunkSource, limits: TarLimits = TarLimits()) {
        input = TarInput(source)
        self.limits = limits
    }

    convenience init(_ source: any ByteSource, limits: TarLimits = TarLimits()) {
        self.init(SingleThreadChunks(source), limits: limits)
    }

    /// The next entry, or `nil` at the end. Content of the entry before that was not read is skipped.
    func next() throws -> TarEntry? {
        guard !ended else { return nil }
        try input.skip(unread + padding)
        unread = 0
        padding = 0
        var records = PAXRecords()
        var longName: [UInt8]?
        var longLink: [UInt8]?
        while true {
            guard let header = try readHeader() else {
                ended = true
                guard records.isEmpty, longName == nil, longLink == nil else {
                    throw BerthError(.invalidArgument, "tar archive ends after an extension header")
                }
                return nil
            }
            entries += 1
            guard entries <= limits.entries else {
                throw BerthError(.resourceExhausted, "tar archive has more than \(limits.entries) entries")
            }
            switch header.type {
            case UInt8(ascii: "x"):
                try records.parse(extensionContent(header), limits: limits)
            case UInt8(ascii: "g"):
                try global.parse(extensionContent(header), limits: limits)
                guard global.sparse == nil else { throw SparseMap.malformed("header: it is one for all files") }
            case UInt8(ascii: "L"):
                longName = try gnuName(header)
            case UInt8(ascii: "K"):
                longLink = try gnuName(header)
            default:
                var entry = header.entry
                var size = header.size
                if let longName { entry.path = longName }
                if let longLink { entry.linkTarget = longLink }
                try global.apply(to: &entry, size: &size)
                try records.apply(to: &entry, size: &size)
                try finish(&entry, type: header.type, size: size, sparse: header.sparse ?? records.sparse)
                return entry
            }
        }
    }

    /// Where in the archive what is left of the current entry's content begins.
    var contentOffset: Int64 { input.offset }

    /// Delivers the rest of the current entry's content in pieces, each valid only during the call.
    func readContent(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        while unread > 0 {
            let piece = try input.piece(upTo: unread)
            guard !piece.isEmpty else { throw truncated }
            unread -= Int64(piece.count)
            try body(piece)
        }
    }

    /// The current entry's content as a whole, at most `limit` bytes.
    func readContent(limit: Int, what: String) throws -> [UInt8] {
        guard unread <= Int64(limit) else {
            throw BerthError(.resourceExhausted, "\(what) is larger than the limit of \(limit) bytes")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(unread))
        try readContent { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Reads the stream to its end, so that a digest over it is complete.
    func drain() throws {
        while try next() != nil {}
        try input.drain()
    }

    // MARK: Headers

    private struct Parsed {
        var type: UInt8
        var size: Int64
        var entry: TarEntry
        var sparse: SparseHeader?
    }

    /// `nil` at the end of the archive or of the stream.
    private func readHeader() throws -> Parsed? {
        guard let block = try input.nextBlock() else { return nil }
        guard !TarHeader.isZero(block) else {
            try input.drain()
            return nil
        }
        guard try TarHeader.checksumMatches(block) else {
            throw BerthError(
                .invalidArgument, "tar header has a wrong checksum: this is no tar archive, or it is damaged")
        }
        typealias Field = TarHeader.Field
        var entry = TarEntry()
        let name = TarHeader.text(block, Field.name)
        // The prefix exists in ustar ("ustar" NUL "00") only; GNU ("ustar" two spaces NUL) puts times there.
        let magic = UnsafeBufferPointer(start: block + Field.magic.0, count: Field.magic.1)
        if magic.elementsEqual(Array("ustar\u{0}00".utf8)) {
            let prefix = TarHeader.text(block, Field.prefix)
            if !prefix.isEmpty {
                entry.path.reserveCapacity(prefix.count + 1 + name.count)
                entry.path.append(contentsOf: prefix)
                entry.path.append(UInt8(ascii: "/"))
            }
        }
        entry.path.append(contentsOf: name)
        entry.linkTarget = Array(TarHeader.text(block, Field.linkName))
        entry.mode = UInt32(truncatingIfNeeded: try TarHeader.number(block, Field.mode, "mode")) & 0o7777
        entry.owner = try Self.identifier(TarHeader.number(block, Field.owner, "owner"), "owner")
        entry.group = try Self.identifier(TarHeader.number(block, Field.group, "group"), "group")
        entry.modifiedSeconds = try TarHeader.number(block, Field.modified, "modification time")
        let size = try TarHeader.number(block, Field.size, "size")
        guard size >= 0 else { throw TarHeader.malformed("size") }
        let type = block[Field.type]
        if type == UInt8(ascii: "3") || type == UInt8(ascii: "4") {
            entry.deviceMajor = try Self.identifier(
                TarHeader.number(block, Field.major, "device number"), "device number")
            entry.deviceMinor = try Self.identifier(
                TarHeader.number(block, Field.minor, "device number"), "device number")
        }
        var header = Parsed(type: type, size: size, entry: entry)
        // Reads on, so the block is no longer there afterwards.
        if type == UInt8(ascii: "S") { header.sparse = try sparseHeader(block) }
        return header
    }

    /// Of the type `S`: four extents in the header, and blocks of 21 more as long as each says that another one follows.
    private func sparseHeader(_ block: TarHeader.Block) throws -> SparseHeader {
        typealias Field = TarHeader.Field
        var header = SparseHeader()
        header.size = try TarHeader.number(block, Field.realSize, "size")
        var goesOn = try header.map.add(from: block, at: Field.extents)
        while goesOn {
            guard let next = try input.nextBlock() else { throw truncated }
            goesOn = try header.map.add(from: next, at: Field.moreExtents)
        }
        return header
    }

    static func identifier(_ value: Int64, _ what: String) throws -> UInt32 {
        // -1 would mean "leave as it is" to chown(2).
        guard let result = UInt32(exactly: value), result != UInt32.max else { throw TarHeader.malformed(what) }
        return result
    }

    private func finish(_ entry: inout TarEntry, type: UInt8, size: Int64, sparse: SparseHeader?) throws {
        var hasContent = false
        if let name = sparse?.name { entry.path = name }
        switch type {
        case UInt8(ascii: "0"), 0, UInt8(ascii: "7"):
            // Before POSIX a directory was a regular file with a slash at the end.
            entry.kind = entry.path.last == UInt8(ascii: "/") ? .directory : .regular
            hasContent = true
        case UInt8(ascii: "1"): entry.kind = .hardLink
        case UInt8(ascii: "2"): entry.kind = .symlink
        case UInt8(ascii: "3"): entry.kind = .characterDevice
        case UInt8(ascii: "4"): entry.kind = .blockDevice
        case UInt8(ascii: "5"): entry.kind = .directory
        case UInt8(ascii: "6"): entry.kind = .fifo
        case UInt8(ascii: "S"):
            entry.kind = .regular
            hasContent = true
        default:
            throw BerthError(
                .invalidArgument, "\(Self.shown(entry.path)): tar entry has unknown type \(Self.shown([type]))")
        }
        guard !entry.path.isEmpty else { throw BerthError(.invalidArgument, "tar entry has an empty name") }
        guard entry.path.count <= limits.path, entry.linkTarget.count <= limits.path else {
            throw BerthError(
                .invalidArgument, "\(Self.shown(entry.path)): tar entry's path is longer than \(limits.path) bytes")
        }
        guard !entry.path.contains(0), !entry.linkTarget.contains(0) else {
            throw BerthError(.invalidArgument, "\(Self.shown(entry.path)): tar entry's path has a NUL byte")
        }
        guard hasContent else {
            // The size of links and devices has no meaning and nothing follows (pax, "size").
            entry.size = 0
            return
        }
        let (total, overflows) = content.addingReportingOverflow(size)
        guard !overflows, total <= limits.content else {
            throw BerthError(
                .resourceExhausted,
                "\(Self.shown(entry.path)): tar archive's content is larger than the limit of \(limits.content) bytes")
        }
        content = total
        unread = size
        padding = -size & 511
        if entry.kind == .directory {
            // An old name of a directory with something behind it, which nobody is to take for its content.
            entry.size = 0
            padding += unread
            unread = 0
        } else {
            entry.size = size
        }
        if let sparse, entry.kind == .regular { try lay(sparse, &entry) }
    }

    /// Finds out where the content of a sparse file belongs.
    private func lay(_ sparse: SparseHeader, _ entry: inout TarEntry) throws {
        guard let size = sparse.size, size >= 0 else { throw SparseMap.malformed("size") }
        guard size <= limits.content else {
            throw BerthError(
                .resourceExhausted,
                "\(Self.shown(entry.path)): sparse file of \(size) bytes is larger than the limit of \(limits.content) bytes"
            )
        }
        let map = sparse.hasMapInContent ? try sparseMap() : sparse.map
        try map.check(size: size, content: unread)
        entry.size = size
        entry.extents = map.extents
    }

    private func sparseMap() throws -> SparseMap {
        var scanner = SparseMapScanner()
        repeat {
            guard unread >= Int64(TarHeader.blockSize) else { throw SparseMap.malformed("map") }
            guard let block = try input.nextBlock() else { throw truncated }
            unread -= Int64(TarHeader.blockSize)
            try scanner.take(block)
        } while !scanner.isComplete
        return scanner.map
    }

    private func extensionContent(_ header: Parsed) throws -> [UInt8] {
        guard header.size <= Int64(limits.extensionHeader) else {
            throw BerthError(
                .resourceExhausted,
                "tar extension header has \(header.size) bytes, more than the limit of \(limits.extensionHeader)")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(header.size))
        var left = header.size
        while left > 0 {
            let piece = try input.piece(upTo: left)
            guard !piece.isEmpty else { throw truncated }
            left -= Int64(piece.count)
            bytes.append(contentsOf: piece)
        }
        try input.skip(-header.size & 511)
        return bytes
    }

    private func gnuName(_ header: Parsed) throws -> [UInt8] {
        var name = try extensionContent(header)
        if let end = name.firstIndex(of: 0) { name.removeSubrange(end...) }
        return name
    }

    private var truncated: BerthError { TarInput.truncated }

    /// A name from an archive for an error message: at most 200 bytes, without control characters.
    static func shown(_ name: some Collection<UInt8>) -> String {
        let text = name.prefix(200).map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }
        return "\"" + String(decoding: text, as: UTF8.self) + (name.count > 200 ? "..." : "") + "\""
    }
}
