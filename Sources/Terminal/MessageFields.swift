internal import FoundationEssentials
internal import SwiftProtobuf
private import Synchronization

/// The fields of a message type: number and JSON name, in order of number.
struct MessageFields: Sendable {
    struct Field: Sendable {
        var number: Int
        /// The lowerCamelCase name of protobuf's JSON mapping.
        var name: String
    }

    let fields: [Field]

    /// The field that a configuration file names, in lowerCamelCase or in the words of the .proto file.
    func field(named name: String) -> Field? {
        let wanted = Self.folded(name)
        return fields.first { Self.folded($0.name) == wanted }
    }

    private static func folded(_ name: String) -> String {
        name.lowercased().filter { $0 != "_" }
    }

    /// No message of CRI or containerd has a higher number.
    private static let highestNumber = 40
    private static let known = Mutex<[ObjectIdentifier: MessageFields]>([:])

    static func of<M: Message>(_ type: M.Type) throws -> MessageFields {
        if let fields = known.withLock({ $0[ObjectIdentifier(type)] }) { return fields }
        let fields = try (1...highestNumber).compactMap { number -> Field? in
            var probe = M()
            guard try FieldVisit.apply(FieldFiller(), to: number, of: &probe).found else { return nil }
            guard case .object(let members) = try JSONValue(parsing: probe.jsonString()), let first = members.first
            else { return nil }
            return Field(number: number, name: first.key)
        }
        let result = MessageFields(fields: fields)
        known.withLock { $0[ObjectIdentifier(type)] = result }
        return result
    }
}

/// Gives a field some value that is not its default, so that it shows, with its name, in the message's JSON.
private struct FieldFiller: FieldHandler {
    var found = false

    private func something<T: FieldType>(_ type: T.Type) -> T.BaseType {
        let values: [Any] = [
            Int32(1), Int64(1), UInt32(1), UInt64(1), Float(1), Double(1), true, "x", Data([1]),
        ]
        return values.lazy.compactMap { $0 as? T.BaseType }.first ?? T.proto3DefaultValue
    }

    mutating func singular<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType) {
        value = something(type)
        found = true
    }
    mutating func optional<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType?) {
        value = something(type)
        found = true
    }
    mutating func repeated<T: FieldType>(_ type: T.Type, _ value: inout [T.BaseType]) {
        value = [something(type)]
        found = true
    }
    mutating func singular<E: Enum>(_ value: inout E) where E.RawValue == Int {
        value = E(rawValue: 1) ?? E()
        found = true
    }
    mutating func optional<E: Enum>(_ value: inout E?) where E.RawValue == Int {
        value = E()
        found = true
    }
    mutating func repeated<E: Enum>(_ value: inout [E]) where E.RawValue == Int {
        value = [E()]
        found = true
    }
    mutating func message<M: Message>(_ value: inout M?) {
        value = M()
        found = true
    }
    mutating func repeated<M: Message>(_ value: inout [M]) {
        value = [M()]
        found = true
    }
    mutating func map<K: MapKeyType, V: MapValueType>(
        _ key: K.Type, _ type: V.Type, _ value: inout [K.BaseType: V.BaseType]
    ) {
        value = [something(K.self): something(V.self)]
        found = true
    }
    mutating func map<K: MapKeyType, E: Enum>(_ key: K.Type, _ value: inout [K.BaseType: E]) {
        value = [something(K.self): E()]
        found = true
    }
    mutating func map<K: MapKeyType, M: Message & Hashable>(_ key: K.Type, _ value: inout [K.BaseType: M]) {
        value = [something(K.self): M()]
        found = true
    }
}
