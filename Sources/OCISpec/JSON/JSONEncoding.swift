/// `Encoder` into a tree of slots, which `JSONWriter` makes text of.
final class JSONEncoding: Encoder {
    /// Where a value goes; containers fill it as they are written to.
    final class Slot {
        enum Content {
            case empty
            case value(JSONValue)
            case elements([Slot])
            /// Each key once, which who encodes sees to.
            case members([(key: String, slot: Slot)])
        }

        var content: Content

        init(_ content: Content = .empty) {
            self.content = content
        }

        func append(_ element: Slot) {
            guard case .elements(var elements) = content else { return }
            // Else it would be copied for each element.
            content = .empty
            elements.append(element)
            content = .elements(elements)
        }

        func append(_ key: String, _ slot: Slot) {
            guard case .members(var members) = content else { return }
            content = .empty
            assert(members.count > 1000 || !members.contains { $0.key == key }, "key \(key) is encoded twice")
            members.append((key, slot))
            content = .members(members)
        }

        func sortMembers() {
            guard case .members(let members) = content else { return }
            content = .members(members.sorted { $0.key < $1.key })
        }
    }

    let slot: Slot
    private let parent: JSONEncoding?
    private let key: (any CodingKey)?
    /// Whether the writer sorts all keys.
    private let sorted: Bool

    var userInfo: [CodingUserInfoKey: Any] { [:] }
    var codingPath: [any CodingKey] { (parent?.codingPath ?? []) + (key.map { [$0] } ?? []) }

    init(_ slot: Slot, sorted: Bool, parent: JSONEncoding? = nil, key: (any CodingKey)? = nil) {
        self.slot = slot
        self.sorted = sorted
        self.parent = parent
        self.key = key
    }

    func below(_ slot: Slot, _ key: (any CodingKey)?) -> JSONEncoding {
        JSONEncoding(slot, sorted: sorted, parent: self, key: key)
    }

    /// Encodes `value` into a new slot.
    func slot<Value: Encodable>(of value: Value, _ key: (any CodingKey)? = nil) throws -> Slot {
        // Types first: casts of what is no string or value cost more than its encoding.
        if Value.self == String.self, let text = value as? String { return Slot(.value(.string(text))) }
        if Value.self == JSONValue.self, let value = value as? JSONValue { return Slot(.value(value)) }
        let slot = Slot()
        try value.encode(to: below(slot, key))
        // A dictionary has no order of its own.
        if !sorted, value is any StringKeyed { slot.sortMembers() }
        return slot
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .members = slot.content {} else { slot.content = .members([]) }
        return KeyedEncodingContainer(KeyedContainer<Key>(encoding: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .elements = slot.content {} else { slot.content = .elements([]) }
        return UnkeyedContainer(encoding: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleContainer(encoding: self) }

    func number(_ value: Double, _ key: (any CodingKey)? = nil) throws -> JSONValue {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value,
                .init(codingPath: below(slot, key).codingPath, debugDescription: "is not representable in JSON"))
        }
        if let integer = Int64(exactly: value) { return .number(integer) }
        return .number("\(value)")
    }
}

private protocol StringKeyed {}
extension Dictionary: StringKeyed where Key == String {}

private struct KeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoding: JSONEncoding

    var codingPath: [any CodingKey] { encoding.codingPath }

    private func set(_ value: JSONValue, _ key: Key) {
        encoding.slot.append(key.stringValue, .init(.value(value)))
    }

    private func member(_ key: Key) -> JSONEncoding {
        let slot = JSONEncoding.Slot()
        encoding.slot.append(key.stringValue, slot)
        return encoding.below(slot, key)
    }

    func encodeNil(forKey key: Key) { set(.null, key) }
    func encode(_ value: Bool, forKey key: Key) { set(.bool(value), key) }
    func encode(_ value: String, forKey key: Key) { set(.string(value), key) }
    func encode(_ value: Double, forKey key: Key) throws { set(try encoding.number(value, key), key) }
    func encode(_ value: Float, forKey key: Key) throws { set(try encoding.number(Double(value), key), key) }
    func encode(_ value: Int, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: Int8, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: Int16, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: Int32, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: Int64, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: UInt, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: UInt8, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: UInt16, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: UInt32, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: UInt64, forKey key: Key) { set(.number(value), key) }
    func encode(_ value: some Encodable, forKey key: Key) throws {
        encoding.slot.append(key.stringValue, try encoding.slot(of: value, key))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        member(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { member(key).unkeyedContainer() }
    func superEncoder() -> any Encoder { encoding }
    func superEncoder(forKey key: Key) -> any Encoder { member(key) }
}

private struct UnkeyedContainer: UnkeyedEncodingContainer {
    let encoding: JSONEncoding

    var codingPath: [any CodingKey] { encoding.codingPath }

    var count: Int {
        guard case .elements(let elements) = encoding.slot.content else { return 0 }
        return elements.count
    }

    private func add(_ value: JSONValue) { encoding.slot.append(.init(.value(value))) }

    private func next() -> JSONEncoding {
        let (slot, key) = (JSONEncoding.Slot(), JSONKey(intValue: count))
        encoding.slot.append(slot)
        return encoding.below(slot, key)
    }

    func encodeNil() { add(.null) }
    func encode(_ value: Bool) { add(.bool(value)) }
    func encode(_ value: String) { add(.string(value)) }
    func encode(_ value: Double) throws { add(try encoding.number(value)) }
    func encode(_ value: Float) throws { add(try encoding.number(Double(value))) }
    func encode(_ value: Int) { add(.number(value)) }
    func encode(_ value: Int8) { add(.number(value)) }
    func encode(_ value: Int16) { add(.number(value)) }
    func encode(_ value: Int32) { add(.number(value)) }
    func encode(_ value: Int64) { add(.number(value)) }
    func encode(_ value: UInt) { add(.number(value)) }
    func encode(_ value: UInt8) { add(.number(value)) }
    func encode(_ value: UInt16) { add(.number(value)) }
    func encode(_ value: UInt32) { add(.number(value)) }
    func encode(_ value: UInt64) { add(.number(value)) }
    func encode(_ value: some Encodable) throws {
        encoding.slot.append(try encoding.slot(of: value, JSONKey(intValue: count)))
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        next().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { next().unkeyedContainer() }
    func superEncoder() -> any Encoder { next() }
}

private struct SingleContainer: SingleValueEncodingContainer {
    let encoding: JSONEncoding

    var codingPath: [any CodingKey] { encoding.codingPath }

    private func set(_ value: JSONValue) { encoding.slot.content = .value(value) }

    func encodeNil() { set(.null) }
    func encode(_ value: Bool) { set(.bool(value)) }
    func encode(_ value: String) { set(.string(value)) }
    func encode(_ value: Double) throws { set(try encoding.number(value)) }
    func encode(_ value: Float) throws { set(try encoding.number(Double(value))) }
    func encode(_ value: Int) { set(.number(value)) }
    func encode(_ value: Int8) { set(.number(value)) }
    func encode(_ value: Int16) { set(.number(value)) }
    func encode(_ value: Int32) { set(.number(value)) }
    func encode(_ value: Int64) { set(.number(value)) }
    func encode(_ value: UInt) { set(.number(value)) }
    func encode(_ value: UInt8) { set(.number(value)) }
    func encode(_ value: UInt16) { set(.number(value)) }
    func encode(_ value: UInt32) { set(.number(value)) }
    func encode(_ value: UInt64) { set(.number(value)) }
    func encode(_ value: some Encodable) throws { encoding.slot.content = try encoding.slot(of: value).content }
}
