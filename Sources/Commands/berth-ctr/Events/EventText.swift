internal import Terminal

/// The payloads of containerd's events as JSON.
///
/// Their messages are many and change little, and most hold nothing but texts and labels, so they are read from the
/// wire format by a table of names; a field that the table does not know is shown under its number.
enum EventText {
    private static let names: [String: [Int: String]] = [
        "ImageCreate": [1: "name", 2: "labels"],
        "ImageUpdate": [1: "name", 2: "labels"],
        "ImageDelete": [1: "name"],
        "ImagePull": [1: "name", 2: "digest", 3: "media_type", 4: "state", 5: "received", 6: "total"],
        "NamespaceCreate": [1: "name", 2: "labels"],
        "NamespaceUpdate": [1: "name", 2: "labels"],
        "NamespaceDelete": [1: "name"],
        "SnapshotPrepare": [1: "key", 2: "parent", 5: "snapshotter"],
        "SnapshotCommit": [1: "key", 2: "name", 5: "snapshotter"],
        "SnapshotRemove": [1: "key", 5: "snapshotter"],
        "ContentDelete": [1: "digest"],
        "ContentCreate": [1: "digest", 2: "size"],
        "ContainerCreate": [1: "id", 2: "image"],
        "ContainerDelete": [1: "id"],
        "TaskCreate": [1: "container_id", 2: "bundle", 6: "pid"],
        "TaskStart": [1: "container_id", 2: "pid"],
        "TaskDelete": [1: "container_id", 2: "pid", 3: "exit_status", 5: "id"],
        "TaskExit": [1: "container_id", 2: "id", 3: "pid", 4: "exit_status"],
        "TaskOOM": [1: "container_id"],
        "TaskPaused": [1: "container_id"],
        "TaskResumed": [1: "container_id"],
    ]

    static func json(typeURL: String, _ payload: [UInt8]) -> String {
        let type = typeURL.split(whereSeparator: { ".\\/".contains($0) }).last.map(String.init) ?? ""
        let names = names[type] ?? [:]
        var members: [JSONValue.Member] = []
        var labels: [JSONValue.Member] = []
        var reader = WireReader(payload)
        while let (number, value) = reader.next() {
            let name = names[number] ?? "\(number)"
            switch value {
            case .varint(let value): members.append(.init(name, .number(value)))
            case .bytes(let bytes) where name == "labels":
                var entry = WireReader(bytes)
                var pair = ["", ""]
                while let (part, value) = entry.next() {
                    if case .bytes(let bytes) = value, part == 1 || part == 2 {
                        pair[part - 1] = String(decoding: bytes, as: UTF8.self)
                    }
                }
                labels.append(.init(pair[0], .string(pair[1])))
            case .bytes(let bytes): members.append(.init(name, .string(String(decoding: bytes, as: UTF8.self))))
            }
        }
        if !labels.isEmpty { members.append(.init("labels", .object(labels.sorted { $0.key < $1.key }))) }
        return JSONValue.object(members).renderedCompactly()
    }
}

/// Fields of a protobuf message in the order of the wire (protobuf encoding, "Message Structure").
private struct WireReader {
    enum Value {
        case varint(UInt64)
        case bytes([UInt8])
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// `nil` at the end, and at anything malformed.
    mutating func next() -> (Int, Value)? {
        guard let tag = varint() else { return nil }
        let number = Int(tag >> 3)
        switch tag & 7 {
        case 0: return varint().map { (number, .varint($0)) }
        case 1: return take(8).map { (number, .bytes($0)) }
        case 2: return varint().flatMap { take($0) }.map { (number, .bytes($0)) }
        case 5: return take(4).map { (number, .bytes($0)) }
        default: return nil
        }
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        return nil
    }

    private mutating func take(_ count: UInt64) -> [UInt8]? {
        guard count <= UInt64(rest.count) else { return nil }
        defer { rest = rest.dropFirst(Int(count)) }
        return Array(rest.prefix(Int(count)))
    }
}
