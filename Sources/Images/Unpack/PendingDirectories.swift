internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// What a layer says of a directory.
struct DirectoryMetadata: Equatable {
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    var modifiedSeconds: Int64
    var modifiedNanoseconds: Int64
    /// Those that are set.
    var attributes: [TarEntry.Attribute]

    /// - Throws: `BerthError` (`invalidArgument`) for an attribute that is refused.
    init(_ entry: TarEntry) throws {
        mode = entry.mode
        owner = entry.owner
        group = entry.group
        modifiedSeconds = entry.modifiedSeconds
        modifiedNanoseconds = entry.modifiedNanoseconds
        attributes = try entry.attributes.filter {
            try AttributePolicy.decide($0.name, path: entry.path) == .set
        }
    }
}

/// Directories whose metadata is applied when nothing more is written into them.
///
/// A layer may have millions: some thousand wait in memory, and the others in a file without a name.
struct PendingDirectories {
    /// Directories in memory, and bytes of their attributes.
    var limit = 16_384
    var byteLimit = 8 << 20
    var undescribedLimit = 65_536

    private let scratch: FilePath
    private var described: [LayerPath: DirectoryMetadata] = [:]
    /// Of the attributes in `described`.
    private var bytes = 0
    private var written: OwnedDescriptor?
    /// Directories that no entry describes.
    private(set) var undescribed: Set<LayerPath> = []
    /// There were so many of them that they are not known any more.
    private(set) var hasLostUndescribed = false

    /// - Parameter scratch: a directory for the file.
    init(scratch: FilePath) {
        self.scratch = scratch
    }

    mutating func describe(_ path: LayerPath, _ metadata: DirectoryMetadata) throws {
        undescribed.remove(path)
        bytes += metadata.size
        if let before = described.updateValue(metadata, forKey: path) { bytes -= before.size }
        if described.count > limit || bytes > byteLimit { try writeOut() }
    }

    mutating func addUndescribed(_ path: LayerPath) {
        guard !hasLostUndescribed, described[path] == nil else { return }
        undescribed.insert(path)
        guard undescribed.count > undescribedLimit else { return }
        undescribed = undescribed.contains(.root) ? [.root] : []
        hasLostUndescribed = true
    }

    /// The directory and all below it are gone. What is in the file stays: what is no directory in the end is passed over.
    mutating func remove(_ path: LayerPath) {
        guard described[path] != nil || undescribed.contains(path) else { return }
        let prefix = path.bytes + [UInt8(ascii: "/")]
        func isGone(_ other: LayerPath) -> Bool { other == path || other.bytes.starts(with: prefix) }
        described = described.filter { !isGone($0.key) }
        undescribed = undescribed.filter { !isGone($0) }
        bytes = described.values.reduce(0) { $0 + $1.size }
    }

    /// Hands out each directory that was described, what was said last coming last.
    mutating func drain(_ body: (LayerPath, DirectoryMetadata) throws -> Void) throws {
        if let written {
            let source = FileSource(written)
            var reader = RecordReader(source)
            while let (path, metadata) = try reader.next() { try body(path, metadata) }
        }
        for (path, metadata) in described { try body(path, metadata) }
        described = [:]
        written = nil
    }

    // MARK: The file

    private mutating func writeOut() throws {
        let file = try written ?? make()
        written = file
        var buffer: [UInt8] = []
        for (path, metadata) in described {
            Record.append(path, metadata, to: &buffer)
            if buffer.count >= 1 << 20 {
                try buffer.withUnsafeBytes { try EntryCalls.write(file.fd, $0) }
                buffer.removeAll(keepingCapacity: true)
            }
        }
        try buffer.withUnsafeBytes { try EntryCalls.write(file.fd, $0) }
        described = [:]
        bytes = 0
    }

    private func make() throws -> OwnedDescriptor {
        let name = Array("directories-\(Identifier.random().prefix(16))".utf8CString)
        let directory = try OwnedDescriptor.directory(scratch)
        defer { directory.close() }
        let file = OwnedDescriptor(
            try EntryCalls.open(directory.fd, name, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600))
        try EntryCalls.unlink(directory.fd, name)
        return file
    }
}

extension DirectoryMetadata {
    fileprivate var size: Int { attributes.reduce(0) { $0 + $1.size } }
}

/// A directory in the file: seven numbers (length of the path, mode, owner, group, seconds, nanoseconds, number of attributes), the
/// path, and for each attribute the lengths of name and value and both. Numbers have eight bytes.
private enum Record {
    static func append(_ path: LayerPath, _ metadata: DirectoryMetadata, to buffer: inout [UInt8]) {
        func number(_ value: Int64) { withUnsafeBytes(of: value) { buffer.append(contentsOf: $0) } }
        number(Int64(path.bytes.count))
        for value in [metadata.mode, metadata.owner, metadata.group] { number(Int64(value)) }
        number(metadata.modifiedSeconds)
        number(metadata.modifiedNanoseconds)
        number(Int64(metadata.attributes.count))
        buffer += path.bytes
        for attribute in metadata.attributes {
            number(Int64(attribute.name.count))
            number(Int64(attribute.value.count))
            buffer += attribute.name
            buffer += attribute.value
        }
    }
}

private struct RecordReader {
    private let source: any ByteSource
    private var buffer: [UInt8] = []
    private var start = 0

    init(_ source: any ByteSource) {
        self.source = source
    }

    /// `nil` at the end.
    mutating func next() throws -> (LayerPath, DirectoryMetadata)? {
        guard try fill(8) else { return nil }
        let length = try number()
        var metadata = try DirectoryMetadata(TarEntry())
        metadata.mode = UInt32(truncatingIfNeeded: try number())
        metadata.owner = UInt32(truncatingIfNeeded: try number())
        metadata.group = UInt32(truncatingIfNeeded: try number())
        metadata.modifiedSeconds = Int64(try number())
        metadata.modifiedNanoseconds = Int64(try number())
        let count = try number()
        let path = try LayerPath(hardLinkTarget: take(length))
        for _ in 0..<count {
            let (name, value) = (try number(), try number())
            metadata.attributes.append(.init(name: try take(name), value: try take(value)))
        }
        return (path, metadata)
    }

    private mutating func number() throws -> Int {
        Int(try take(8).withUnsafeBytes { $0.loadUnaligned(as: Int64.self) })
    }

    private mutating func take(_ count: Int) throws -> [UInt8] {
        guard try fill(count) else { throw BerthError(.dataLoss, "the list of a layer's directories ends too soon") }
        defer { start += count }
        return Array(buffer[start..<start + count])
    }

    /// Whether there are `count` bytes.
    private mutating func fill(_ count: Int) throws -> Bool {
        if buffer.count - start >= count { return true }
        buffer.removeSubrange(..<start)
        start = 0
        let room = max(256 << 10, count)
        let more = try [UInt8](unsafeUninitializedCapacity: room) { bytes, initialized in
            initialized = try source.read(into: UnsafeMutableRawBufferPointer(bytes))
        }
        buffer += more
        return buffer.count >= count
    }
}
