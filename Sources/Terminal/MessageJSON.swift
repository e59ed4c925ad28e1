internal import FoundationEssentials
public import SwiftProtobuf

/// Protobuf's JSON mapping as crictl prints it: lowerCamelCase names, fields in order of their numbers, 64-bit
/// numbers as strings, enums by name, and fields that hold their default value printed too (unset messages are not).
public enum MessageJSON {
    public static func value<M: Message>(of message: M) throws -> JSONValue {
        if M.protoMessageName.hasPrefix("google.protobuf.") {
            return try JSONValue(parsing: message.jsonString())
        }
        var message = message
        let members = try MessageFields.of(M.self).fields.compactMap { field -> JSONValue.Member? in
            let reader = try FieldVisit.apply(FieldReader(), to: field.number, of: &message)
            return reader.value.map { JSONValue.Member(field.name, $0) }
        }
        return .object(members)
    }

    /// As `value(of:)`, with `null` for messages that are not set: the form in which crictl prints a status.
    public static func valueWithNulls<M: Message>(of message: M) throws -> JSONValue {
        let value = try value(of: message)
        return .object(
            try MessageFields.of(M.self).fields.map { JSONValue.Member($0.name, value[$0.name] ?? .null) })
    }
}

/// Reads one field; no value for a message that is not set.
private struct FieldReader: FieldHandler {
    var value: JSONValue?

    private func json<T: FieldType>(_ type: T.Type, _ value: T.BaseType) -> JSONValue {
        switch value {
        case let value as Int64: .string(String(value))
        case let value as UInt64: .string(String(value))
        case let value as Int32: .number(value)
        case let value as UInt32: .number(value)
        case let value as Bool: .bool(value)
        case let value as String: .string(value)
        case let value as Data: .string(value.base64EncodedString())
        case let value as Float: Self.floating(Double(value))
        case let value as Double: Self.floating(value)
        default: .null
        }
    }

    private static func floating(_ value: Double) -> JSONValue {
        guard value.isFinite else { return .string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity") }
        guard let whole = Int64(exactly: value) else { return .number(String(value)) }
        return .number(whole)
    }

    private func name<E: Enum>(_ value: E) throws -> JSONValue where E.RawValue == Int {
        try EnumNames.name(of: value).map { .string($0) } ?? .number(value.rawValue)
    }

    private func members<K, V>(_ map: [K: V], _ json: (V) throws -> JSONValue) rethrows -> JSONValue {
        let members = try map.map { JSONValue.Member(String(describing: $0.key), try json($0.value)) }
        return .object(members.sorted { $0.key < $1.key })
    }

    mutating func singular<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType) {
        self.value = json(type, value)
    }
    mutating func optional<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType?) {
        self.value = value.map { json(type, $0) }
    }
    mutating func repeated<T: FieldType>(_ type: T.Type, _ value: inout [T.BaseType]) {
        self.value = .array(value.map { json(type, $0) })
    }
    mutating func singular<E: Enum>(_ value: inout E) throws where E.RawValue == Int {
        self.value = try name(value)
    }
    mutating func optional<E: Enum>(_ value: inout E?) throws where E.RawValue == Int {
        self.value = try value.map { try name($0) }
    }
    mutating func repeated<E: Enum>(_ value: inout [E]) throws where E.RawValue == Int {
        self.value = .array(try value.map { try name($0) })
    }
    mutating func message<M: Message>(_ value: inout M?) throws {
        self.value = try value.map { try MessageJSON.value(of: $0) }
    }
    mutating func repeated<M: Message>(_ value: inout [M]) throws {
        self.value = .array(try value.map { try MessageJSON.value(of: $0) })
    }
    mutating func map<K: MapKeyType, V: MapValueType>(
        _ key: K.Type, _ type: V.Type, _ value: inout [K.BaseType: V.BaseType]
    ) {
        self.value = members(value) { json(type, $0) }
    }
    mutating func map<K: MapKeyType, E: Enum>(
        _ key: K.Type, _ value: inout [K.BaseType: E]
    ) throws where E.RawValue == Int {
        self.value = try members(value) { try name($0) }
    }
    mutating func map<K: MapKeyType, M: Message & Hashable>(_ key: K.Type, _ value: inout [K.BaseType: M]) throws {
        self.value = try members(value) { try MessageJSON.value(of: $0) }
    }
}
