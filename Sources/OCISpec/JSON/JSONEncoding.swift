/// `Encoder` into a `JSONValue`.
final class JSONEncoding: Encoder {
    /// Where a value goes; containers fill it as they are written to.
    final class Slot {
        var value: JSONValue?
        var members: [(key: String, slot: Slot)] = []
        var elements: [Slot] = []
        var shape = Shape.single

        enum Shape { case single, keyed, unkeyed }

        var finished: JSONValue {
            switch shape {
            case .single: value ?? .object([])
            case .unkeyed: .array(elements.map(\.finished))
            case .keyed: .object(members.map { .init($0.key, $0.slot.finished) })
            }
        }
    }

    let slot: Slot
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(slot: Slot, path: [any CodingKey]) {
        self.slot = slot
        codingPath = path
    }

    static func box(_ value: some Encodable, into slot: Slot, path: [any CodingKey]) throws {
        if let text = value as? String {
            slot.value = .string(text)
        } else {
            try value.encode(to: JSONEncoding(slot: slot, path: path))
            // A dictionary has no order of its own.
            if value is any StringKeyed { slot.members.sort { $0.key < $1.key } }
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        slot.shape = .keyed
        return KeyedEncodingContainer(KeyedContainer<Key>(slot: slot, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        slot.shape = .unkeyed
        return UnkeyedContainer(slot: slot, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleContainer(slot: slot, codingPath: codingPath)
    }

    static func number(_ value: Double, path: [any CodingKey]) throws -> JSONValue {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value, .init(codingPath: path, debugDescription: "is not representable in JSON"))
        }
        if let integer = Int64(exactly: value) { return .number("\(integer)") }
        return .number("\(value)")
    }
}

private protocol StringKeyed {}
extension Dictionary: StringKeyed where Key == String {}

private struct KeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let slot: JSONEncoding.Slot
    let codingPath: [any CodingKey]

    private func member(_ key: Key) -> JSONEncoding.Slot {
        if let known = slot.members.first(where: { $0.key == key.stringValue }) { return known.slot }
        let new = JSONEncoding.Slot()
        slot.members.append((key.stringValue, new))
        return new
    }

    private func set(_ value: JSONValue, _ key: Key) { member(key).value = value }

    mutating func encodeNil(forKey key: Key) { set(.null, key) }
    mutating func encode(_ value: Bool, forKey key: Key) { set(.bool(value), key) }
    mutating func encode(_ value: String, forKey key: Key) { set(.string(value), key) }
    mutating func encode(_ value: Double, forKey key: Key) throws {
        set(try JSONEncoding.number(value, path: codingPath + [key]), key)
    }
    mutating func encode(_ value: Float, forKey key: Key) throws {
        set(try JSONEncoding.number(Double(value), path: codingPath + [key]), key)
    }
    mutating func encode(_ value: Int, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: Int8, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: Int16, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: Int32, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: Int64, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: UInt, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: UInt8, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: UInt16, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: UInt32, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode(_ value: UInt64, forKey key: Key) { set(.number("\(value)"), key) }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try JSONEncoding.box(value, into: member(key), path: codingPath + [key])
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        JSONEncoding(slot: member(key), path: codingPath + [key]).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        JSONEncoding(slot: member(key), path: codingPath + [key]).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { JSONEncoding(slot: slot, path: codingPath) }
    mutating func superEncoder(forKey key: Key) -> any Encoder {
        JSONEncoding(slot: member(key), path: codingPath + [key])
    }
}

private struct UnkeyedContainer: UnkeyedEncodingContainer {
    let slot: JSONEncoding.Slot
    let codingPath: [any CodingKey]

    var count: Int { slot.elements.count }

    private func next() -> JSONEncoding.Slot {
        let new = JSONEncoding.Slot()
        slot.elements.append(new)
        return new
    }

    private func add(_ value: JSONValue) { next().value = value }

    mutating func encodeNil() { add(.null) }
    mutating func encode(_ value: Bool) { add(.bool(value)) }
    mutating func encode(_ value: String) { add(.string(value)) }
    mutating func encode(_ value: Double) throws { add(try JSONEncoding.number(value, path: codingPath)) }
    mutating func encode(_ value: Float) throws { add(try JSONEncoding.number(Double(value), path: codingPath)) }
    mutating func encode(_ value: Int) { add(.number("\(value)")) }
    mutating func encode(_ value: Int8) { add(.number("\(value)")) }
    mutating func encode(_ value: Int16) { add(.number("\(value)")) }
    mutating func encode(_ value: Int32) { add(.number("\(value)")) }
    mutating func encode(_ value: Int64) { add(.number("\(value)")) }
    mutating func encode(_ value: UInt) { add(.number("\(value)")) }
    mutating func encode(_ value: UInt8) { add(.number("\(value)")) }
    mutating func encode(_ value: UInt16) { add(.number("\(value)")) }
    mutating func encode(_ value: UInt32) { add(.number("\(value)")) }
    mutating func encode(_ value: UInt64) { add(.number("\(value)")) }
    mutating func encode<T: Encodable>(_ value: T) throws {
        let index = slot.elements.count
        try JSONEncoding.box(value, into: next(), path: codingPath + [JSONKey(intValue: index)])
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        JSONEncoding(slot: next(), path: codingPath).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        JSONEncoding(slot: next(), path: codingPath).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { JSONEncoding(slot: next(), path: codingPath) }
}

private struct SingleContainer: SingleValueEncodingContainer {
    let slot: JSONEncoding.Slot
    let codingPath: [any CodingKey]

    mutating func encodeNil() { slot.value = .null }
    mutating func encode(_ value: Bool) { slot.value = .bool(value) }
    mutating func encode(_ value: String) { slot.value = .string(value) }
    mutating func encode(_ value: Double) throws { slot.value = try JSONEncoding.number(value, path: codingPath) }
    mutating func encode(_ value: Float) throws {
        slot.value = try JSONEncoding.number(Double(value), path: codingPath)
    }
    mutating func encode(_ value: Int) { slot.value = .number("\(value)") }
    mutating func encode(_ value: Int8) { slot.value = .number("\(value)") }
    mutating func encode(_ value: Int16) { slot.value = .number("\(value)") }
    mutating func encode(_ value: Int32) { slot.value = .number("\(value)") }
    mutating func encode(_ value: Int64) { slot.value = .number("\(value)") }
    mutating func encode(_ value: UInt) { slot.value = .number("\(value)") }
    mutating func encode(_ value: UInt8) { slot.value = .number("\(value)") }
    mutating func encode(_ value: UInt16) { slot.value = .number("\(value)") }
    mutating func encode(_ value: UInt32) { slot.value = .number("\(value)") }
    mutating func encode(_ value: UInt64) { slot.value = .number("\(value)") }
    mutating func encode<T: Encodable>(_ value: T) throws {
        try JSONEncoding.box(value, into: slot, path: codingPath)
    }
}

/// Text of a `JSONValue`.
struct JSONWriter {
    let pretty: Bool
    /// Keys by name; otherwise in the order in which they were written.
    let sorted: Bool
    private(set) var bytes: [UInt8] = []

    init(pretty: Bool, sorted: Bool = true) {
        self.pretty = pretty
        self.sorted = sorted
    }

    mutating func write(_ value: JSONValue, indent: Int) {
        switch value {
        case .null: add("null")
        case .bool(let flag): add(flag ? "true" : "false")
        case .number(let text): add(text)
        case .string(let text): quote(text)
        case .array(let elements):
            list("[", "]", elements, indent: indent) { writer, element in writer.write(element, indent: indent + 1) }
        case .object(let members):
            let ordered = sorted ? members.sorted { $0.key < $1.key } : members
            list("{", "}", ordered, indent: indent) { writer, member in
                writer.quote(member.key)
                writer.add(writer.pretty ? ": " : ":")
                writer.write(member.value, indent: indent + 1)
            }
        }
    }

    private mutating func list<Element>(
        _ open: String, _ close: String, _ elements: [Element], indent: Int,
        _ body: (inout JSONWriter, Element) -> Void
    ) {
        add(open)
        for (index, element) in elements.enumerated() {
            if index > 0 { add(",") }
            newline(indent + 1)
            body(&self, element)
        }
        if !elements.isEmpty { newline(indent) }
        add(close)
    }

    private mutating func newline(_ indent: Int) {
        guard pretty else { return }
        bytes.append(0x0a)
        bytes.append(contentsOf: repeatElement(0x20, count: indent * 2))
    }

    private mutating func add(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): add("\\\"")
            case UInt8(ascii: "\\"): add("\\\\")
            case 0x0a: add("\\n")
            case 0x0d: add("\\r")
            case 0x09: add("\\t")
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                add("\\u00")
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
