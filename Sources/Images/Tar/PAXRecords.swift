internal import Core

/// The records of a PAX extended header that matter here (POSIX.1-2017, pax, "pax Extended Header").
struct PAXRecords {
    private var path: [UInt8]?
    private var linkPath: [UInt8]?
    private var size: Int64?
    private var owner: UInt32?
    private var group: UInt32?
    private var modified: (seconds: Int64, nanoseconds: Int64)?
    private var attributes: [TarEntry.Attribute] = []
    private var attributeBytes = 0
    private(set) var sparse: SparseHeader?

    private(set) var isEmpty = true

    /// Reads the records `LENGTH KEY=VALUE\n`; a later header's value replaces an earlier one's.
    mutating func parse(_ bytes: [UInt8], limits: TarLimits) throws {
        isEmpty = false
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let space = rest.prefix(20).firstIndex(of: 0x20),
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
                length > space - rest.startIndex + 1, length <= rest.count
            else { throw malformed("record length") }
            let record = rest[rest.startIndex..<rest.startIndex + length]
            guard record.last == UInt8(ascii: "\n") else { throw malformed("record end") }
            let pair = record[(space + 1)...].dropLast()
            guard let equals = pair.firstIndex(of: UInt8(ascii: "=")), equals > pair.startIndex else {
                throw malformed("record")
            }
            try take(pair[..<equals], pair[(equals + 1)...], limits)
            rest = rest[(rest.startIndex + length)...]
        }
    }

    private mutating func take(
        _ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>, _ limits: TarLimits
    ) throws {
        if key.starts(with: Self.attributePrefix) {
            let name = Array(key.dropFirst(Self.attributePrefix.count))
            guard !name.isEmpty, name.count <= 255, !name.contains(0), value.count <= 65536 else {
                throw malformed("extended attribute")
            }
            try add(TarEntry.Attribute(name: name, value: Array(value)), limits)
            return
        }
        // Only keys that are known and short are worth turning into text.
        guard key.count <= 32 else { return }
        switch String(decoding: key, as: UTF8.self) {
        case "path": path = value.isEmpty ? nil : Array(value)
        case "linkpath": linkPath = value.isEmpty ? nil : Array(value)
        case "size":
            guard let number = try number(value, "size") else { return }
            guard number >= 0 else { throw malformed("size") }
            size = number
        case "uid": owner = try number(value, "uid").map { try TarReader.identifier($0, "uid") }
        case "gid": group = try number(value, "gid").map { try TarReader.identifier($0, "gid") }
        case "mtime": modified = try value.isEmpty ? nil : time(value)
        case let key where key.hasPrefix(SparseHeader.prefix):
            var header = sparse ?? SparseHeader()
            try header.take(key.dropFirst(SparseHeader.prefix.count), value)
            sparse = header
        default: break
        }
    }

    /// An archive may have any number of headers before an entry: what they add up to is bounded.
    private mutating func add(_ attribute: TarEntry.Attribute, _ limits: TarLimits) throws {
        if let known = attributes.firstIndex(where: { $0.name == attribute.name }) {
            attributeBytes -= attributes[known].size
            attributes.remove(at: known)
        }
        attributes.append(attribute)
        attributeBytes += attribute.size
        guard attributes.count <= limits.attributes, attributeBytes <= limits.attributeBytes else {
            throw BerthError(
                .resourceExhausted,
                "tar entry has more than \(limits.attributes) extended attributes, or \(limits.attributeBytes) bytes of them"
            )
        }
    }

    func apply(to entry: inout TarEntry, size entrySize: inout Int64) throws {
        if let path { entry.path = path }
        if let linkPath { entry.linkTarget = linkPath }
        if let size { entrySize = size }
        if let owner { entry.owner = owner }
        if let group { entry.group = group }
        if let modified {
            entry.modifiedSeconds = modified.seconds
            entry.modifiedNanoseconds = modified.nanoseconds
        }
        for attribute in attributes {
            entry.attributes.removeAll { $0.name == attribute.name }
            entry.attributes.append(attribute)
        }
    }

    private static let attributePrefix = Array("SCHILY.xattr.".utf8)

    private func number(_ value: ArraySlice<UInt8>, _ what: String) throws -> Int64? {
        if value.isEmpty { return nil }
        guard value.count <= 20, let number = Int64(String(decoding: value, as: UTF8.self)) else {
            throw malformed(what)
        }
        return number
    }

    /// Seconds with an optional fraction, of which nine digits count; rounded down, also before 1970.
    private func time(_ value: ArraySlice<UInt8>) throws -> (seconds: Int64, nanoseconds: Int64) {
        guard value.count <= 64 else { throw malformed("mtime") }
        let parts = value.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let seconds = Int64(String(decoding: parts[0], as: UTF8.self)), seconds.magnitude < 1 << 56 else {
            throw malformed("mtime")
        }
        guard parts.count == 2 else { return (seconds, 0) }
        var nanoseconds: Int64 = 0
        for index in 0..<9 {
            let position = parts[1].startIndex + index
            guard position < parts[1].endIndex else {
                nanoseconds *= 10
                continue
            }
            guard (0x30...0x39).contains(parts[1][position]) else { throw malformed("mtime") }
            nanoseconds = nanoseconds * 10 + Int64(parts[1][position] - 0x30)
        }
        guard value.first == UInt8(ascii: "-"), nanoseconds > 0 else { return (seconds, nanoseconds) }
        return (seconds - 1, 1_000_000_000 - nanoseconds)
    }

    private func malformed(_ what: String) -> BerthError {
        BerthError(.invalidArgument, "PAX header has a malformed \(what)")
    }
}

extension TarEntry.Attribute {
    /// Bytes of name and value.
    var size: Int { name.count + value.count }
}
