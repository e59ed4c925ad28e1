internal import Core
internal import FoundationEssentials
public import SwiftProtobuf

/// Reads a message from a JSON or YAML document as people write it: names in lowerCamelCase or as in the .proto file,
/// enums by name or number, numbers plain or quoted, `bytes` as plain text.
public enum MessageConfiguration {
    /// - Throws: `BerthError` (`invalidArgument`) with the path of the field that is wrong: `linux.resources.cpu_shares`.
    public static func decode<M: Message>(_ type: M.Type, from document: JSONValue) throws -> M {
        try decode(type, from: document, path: "")
    }

    fileprivate static func decode<M: Message>(_ type: M.Type, from value: JSONValue, path: String) throws -> M {
        guard case .object(let members) = value else {
            throw BerthError(
                .invalidArgument, "\(path.isEmpty ? "the document" : path) must be an object, not \(value.kind)")
        }
        let fields = try MessageFields.of(type)
        var message = M()
        for member in members {
            let memberPath = path.isEmpty ? member.key : "\(path).\(member.key)"
            guard let field = fields.field(named: member.key) else {
                let known = fields.fields.map(\.name).joined(separator: ", ")
                throw BerthError(.invalidArgument, "\(memberPath): unknown field", advice: "known are \(known)")
            }
            guard member.value != .null else { continue }
            _ = try FieldVisit.apply(
                FieldWriter(json: member.value, path: memberPath), to: field.number, of: &message)
        }
        return message
    }
}

private struct FieldWriter: FieldHandler {
    let json: JSONValue
    let path: String

    private func wrong(_ json: JSONValue, _ path: String, _ expected: String) -> BerthError {
        switch json {
        case .string(let text), .number(let text):
            BerthError.invalid(field: path, value: text, rule: "must be \(expected)")
        default: BerthError(.invalidArgument, "\(path) must be \(expected), not \(json.kind)")
        }
    }

    private func scalar<T: FieldType>(_ type: T.Type, _ json: JSONValue, _ path: String) throws -> T.BaseType {
        let text: String? =
            switch json {
            case .string(let text), .number(let text): text
            case .bool(let value): value ? "true" : "false"
            default: nil
            }
        let (parsed, expected): (Any?, String) =
            switch T.BaseType.self {
            case is String.Type: (text, "a text")
            case is Data.Type: (text.map { Data($0.utf8) }, "a text")
            case is Bool.Type: (text.flatMap { Bool($0) }, "true or false")
            case is Int32.Type: (text.flatMap { Int32($0) }, "a whole number of 32 bits")
            case is UInt32.Type: (text.flatMap { UInt32($0) }, "a whole number of 32 bits, not below 0")
            case is Int64.Type: (text.flatMap { Int64($0) }, "a whole number")
            case is UInt64.Type: (text.flatMap { UInt64($0) }, "a whole number, not below 0")
            case is Float.Type: (text.flatMap { Float($0) }, "a number")
            default: (text.flatMap { Double($0) }, "a number")
            }
        guard let value = parsed as? T.BaseType else { throw wrong(json, path, expected) }
        return value
    }

    private func choice<E: Enum>(_ json: JSONValue, _ path: String) throws -> E where E.RawValue == Int {
        switch json {
        case .number(let digits):
            if let number = Int(digits), let value = E(rawValue: number) { return value }
        case .string(let name):
            if let value = try EnumNames.value(named: name, of: E.self) { return value }
        default: break
        }
        throw wrong(json, path, "one of the names of the protocol")
    }

    private func elements(_ json: JSONValue) throws -> [(JSONValue, String)] {
        guard case .array(let elements) = json else { throw wrong(json, path, "a list") }
        return elements.enumerated().map { ($0.element, "\(path)[\($0.offset)]") }
    }

    private func entries<K: MapKeyType, V>(
        _ key: K.Type, _ value: (JSONValue, String) throws -> V
    ) throws -> [K.BaseType: V] {
        guard case .object(let members) = json else { throw wrong(json, path, "an object") }
        var result: [K.BaseType: V] = [:]
        for member in members {
            let memberPath = "\(path).\(member.key)"
            result[try scalar(K.self, .string(member.key), memberPath)] = try value(member.value, memberPath)
        }
        return result
    }

    mutating func singular<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType) throws {
        value = try scalar(type, json, path)
    }
    mutating func optional<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType?) throws {
        value = try scalar(type, json, path)
    }
    mutating func repeated<T: FieldType>(_ type: T.Type, _ value: inout [T.BaseType]) throws {
        value = try elements(json).map { try scalar(type, $0.0, $0.1) }
    }
    mutating func singular<E: Enum>(_ value: inout E) throws where E.RawValue == Int {
        value = try choice(json, path)
    }
    mutating func optional<E: Enum>(_ value: inout E?) throws where E.RawValue == Int {
        value = try choice(json, path) as E
    }
    mutating func repeated<E: Enum>(_ value: inout [E]) throws where E.RawValue == Int {
        value = try elements(json).map { try choice($0.0, $0.1) }
    }
    mutating func message<M: Message>(_ value: inout M?) throws {
        value = try MessageConfiguration.decode(M.self, from: json, path: path)
    }
    mutating func repeated<M: Message>(_ value: inout [M]) throws {
        value = try elements(json).map { try MessageConfiguration.decode(M.self, from: $0.0, path: $0.1) }
    }
    mutating func map<K: MapKeyType, V: MapValueType>(
        _ key: K.Type, _ type: V.Type, _ value: inout [K.BaseType: V.BaseType]
    ) throws {
        value = try entries(key) { try scalar(type, $0, $1) }
    }
    mutating func map<K: MapKeyType, E: Enum>(
        _ key: K.Type, _ value: inout [K.BaseType: E]
    ) throws where E.RawValue == Int {
        value = try entries(key) { try choice($0, $1) }
    }
    mutating func map<K: MapKeyType, M: Message & Hashable>(
        _ key: K.Type, _ value: inout [K.BaseType: M]
    ) throws {
        value = try entries(key) { try MessageConfiguration.decode(M.self, from: $0, path: $1) }
    }
}
