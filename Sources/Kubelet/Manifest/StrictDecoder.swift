internal import Core

/// A type of the Kubernetes API whose manifests are decoded strictly: a field that is not one of its properties is an
/// error, and the error tells apart what Kubernetes knows and what nobody knows.
protocol KubernetesObject: Codable, Sendable, Equatable {
    /// Fields that Kubernetes has and this kubelet does not support yet: an error names them as such.
    static var unsupported: Set<String> { get }
    /// Fields that are accepted although they change nothing on a single node: a warning names them.
    static var withoutEffect: Set<String> { get }
    /// Fields that every exported manifest carries and that are not input: dropped silently.
    static var dropped: Set<String> { get }
}

extension KubernetesObject {
    static var unsupported: Set<String> { [] }
    static var withoutEffect: Set<String> { [] }
    static var dropped: Set<String> { [] }
}

/// A string with a fixed set of values; an error lists them.
protocol StringEnumeration: RawRepresentable, CaseIterable, Codable, Sendable, Equatable where RawValue == String {}

extension StringEnumeration {
    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let value = Self(rawValue: text) else {
            let known = Self.allCases.map(\.rawValue).filter { !$0.isEmpty }.joined(separator: ", ")
            throw BerthError.invalid(
                field: FieldPath(decoder.codingPath).description, value: text.prefix(120),
                rule: "must be one of \(known)")
        }
        self = value
    }
}

/// `spec.containers[0].image`, as kubectl writes it.
struct FieldPath: CustomStringConvertible {
    let keys: [any CodingKey]

    init(_ keys: [any CodingKey] = []) { self.keys = keys }

    func appending(_ key: any CodingKey) -> FieldPath { FieldPath(keys + [key]) }

    var description: String {
        keys.reduce(into: "") { text, key in
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
    }
}

struct PathKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(_ name: String) { (stringValue, intValue) = (name, nil) }
    init(index: Int) { (stringValue, intValue) = ("\(index)", index) }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { self.init(index: intValue) }
}

enum StrictManifest {
    final class Notes {
        var warnings: [String] = []
    }

    static func decode<T: Decodable>(_ type: T.Type, from value: ManifestValue, notes: Notes) throws -> T {
        try decode(type, from: value, path: FieldPath(), notes: notes)
    }

    fileprivate static func decode<T: Decodable>(
        _ type: T.Type, from value: ManifestValue, path: FieldPath, notes: Notes
    ) throws -> T {
        let object = type as? any KubernetesObject.Type
        return try T(from: StrictDecoder(value: value, path: path, object: object, notes: notes))
    }
}

private struct StrictDecoder: Decoder {
    let value: ManifestValue
    let path: FieldPath
    let object: (any KubernetesObject.Type)?
    let notes: StrictManifest.Notes

    var codingPath: [any CodingKey] { path.keys }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func mismatch(_ wanted: String) -> BerthError {
        let name = path.keys.isEmpty ? "document" : path.description
        return BerthError.invalid(field: name, value: value.shown, rule: "must be \(wanted), not \(value.kind)")
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(var fields) = value else { throw mismatch("a mapping") }
        for name in fields.keys.sorted() {
            let field = path.appending(PathKey(name))
            if object?.dropped.contains(name) == true {
                fields[name] = nil
            } else if object?.withoutEffect.contains(name) == true {
                if fields[name] != .null, fields[name] != .object([:]), fields[name] != .array([]) {
                    notes.warnings.append("\(field) has no effect on a standalone node")
                }
                fields[name] = nil
            } else if fields[name] == .null {
                fields[name] = nil
            } else if object?.unsupported.contains(name) == true {
                if fields[name] == .object([:]) || fields[name] == .array([]) { continue }
                throw BerthError(.unimplemented, "\(field) is not supported by berth-kubelet yet")
            } else if Key(stringValue: name) == nil {
                throw BerthError(.invalidArgument, "\(field) is an unknown field")
            }
        }
        return KeyedDecodingContainer(StrictFields<Key>(fields: fields, path: path, notes: notes))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let items) = value else { throw mismatch("a list") }
        return StrictItems(items: items, path: path, notes: notes)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { StrictScalar(decoder: self) }
}

private struct StrictFields<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let fields: [String: ManifestValue]
    let path: FieldPath
    let notes: StrictManifest.Notes

    var codingPath: [any CodingKey] { path.keys }
    var allKeys: [Key] { fields.keys.sorted().compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { fields[key.stringValue] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { fields[key.stringValue] == .null }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        let field = path.appending(key)
        guard let value = fields[key.stringValue] else {
            throw BerthError(.invalidArgument, "\(field) is required")
        }
        return try StrictManifest.decode(type, from: value, path: field, notes: notes)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        StrictDecoder(value: .object(fields), path: path, object: nil, notes: notes)
    }

    func superDecoder(forKey key: Key) throws -> any Decoder { decoder(key) }

    private func decoder(_ key: Key) -> StrictDecoder {
        StrictDecoder(
            value: fields[key.stringValue] ?? .null, path: path.appending(key), object: nil, notes: notes)
    }
}

private struct StrictItems: UnkeyedDecodingContainer {
    let items: [ManifestValue]
    let path: FieldPath
    let notes: StrictManifest.Notes
    var currentIndex = 0

    init(items: [ManifestValue], path: FieldPath, notes: StrictManifest.Notes) {
        (self.items, self.path, self.notes) = (items, path, notes)
    }

    var codingPath: [any CodingKey] { path.keys }
    var count: Int? { items.count }
    var isAtEnd: Bool { currentIndex >= items.count }

    mutating func decodeNil() throws -> Bool { false }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let (value, field) = try next()
        return try StrictManifest.decode(type, from: value, path: field, notes: notes)
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested>
    {
        try superDecoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try superDecoder().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder {
        let (value, field) = try next()
        return StrictDecoder(value: value, path: field, object: nil, notes: notes)
    }

    private mutating func next() throws -> (ManifestValue, FieldPath) {
        guard !isAtEnd else { throw BerthError(.invalidArgument, "\(path) has too few items") }
        defer { currentIndex += 1 }
        return (items[currentIndex], path.appending(PathKey(index: currentIndex)))
    }
}

private struct StrictScalar: SingleValueDecodingContainer {
    let decoder: StrictDecoder

    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool { decoder.value == .null }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard case .boolean(let value) = decoder.value else { throw decoder.mismatch("true or false") }
        return value
    }

    func decode(_ type: String.Type) throws -> String {
        guard case .string(let value) = decoder.value else { throw decoder.mismatch("a string (quote it)") }
        return value
    }

    func decode(_ type: Double.Type) throws -> Double {
        switch decoder.value {
        case .number(let value): return value
        case .integer(let value): return Double(value)
        default: throw decoder.mismatch("a number")
        }
    }

    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try integer() }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer() }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer() }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer() }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer() }
    func decode(_ type: UInt.Type) throws -> UInt { try integer() }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer() }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer() }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer() }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer() }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try StrictManifest.decode(type, from: decoder.value, path: decoder.path, notes: decoder.notes)
    }

    private func integer<I: FixedWidthInteger>() throws -> I {
        guard case .integer(let value) = decoder.value else { throw decoder.mismatch("an integer") }
        guard let exact = I(exactly: value) else {
            throw BerthError.invalid(
                field: decoder.path.description, value: value, rule: "must be between \(I.min) and \(I.max)")
        }
        return exact
    }
}
