internal import FoundationEssentials
internal import SwiftProtobuf

/// What is done with one field of a message, whatever its type.
///
/// SwiftProtobuf has no reflection. Its generated code asks a `Decoder` for the value of each field by type, and that
/// decoder sees the present value too: `FieldVisit` is such a decoder, and reading, writing and naming fields are
/// handlers of it.
protocol FieldHandler {
    mutating func singular<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType) throws
    mutating func optional<T: FieldType>(_ type: T.Type, _ value: inout T.BaseType?) throws
    mutating func repeated<T: FieldType>(_ type: T.Type, _ value: inout [T.BaseType]) throws
    mutating func singular<E: Enum>(_ value: inout E) throws where E.RawValue == Int
    mutating func optional<E: Enum>(_ value: inout E?) throws where E.RawValue == Int
    mutating func repeated<E: Enum>(_ value: inout [E]) throws where E.RawValue == Int
    mutating func message<M: Message>(_ value: inout M?) throws
    mutating func repeated<M: Message>(_ value: inout [M]) throws
    mutating func map<K: MapKeyType, V: MapValueType>(
        _ key: K.Type, _ type: V.Type, _ value: inout [K.BaseType: V.BaseType]) throws
    mutating func map<K: MapKeyType, E: Enum>(
        _ key: K.Type, _ value: inout [K.BaseType: E]) throws where E.RawValue == Int
    mutating func map<K: MapKeyType, M: Message & Hashable>(_ key: K.Type, _ value: inout [K.BaseType: M]) throws
}

/// Applies `handler` to the field `number` of a message, if there is one.
struct FieldVisit<Handler: FieldHandler> {
    var number: Int?
    var handler: Handler

    static func apply(_ handler: Handler, to number: Int, of message: inout some Message) throws -> Handler {
        var visit = FieldVisit(number: number, handler: handler)
        try message.decodeMessage(decoder: &visit)
        return visit.handler
    }
}

extension FieldVisit: Decoder {
    mutating func handleConflictingOneOf() throws {}

    mutating func nextFieldNumber() throws -> Int? {
        defer { number = nil }
        return number
    }

    mutating func decodeSingularEnumField<E: Enum>(value: inout E) throws where E.RawValue == Int {
        try handler.singular(&value)
    }
    mutating func decodeSingularEnumField<E: Enum>(value: inout E?) throws where E.RawValue == Int {
        try handler.optional(&value)
    }
    mutating func decodeRepeatedEnumField<E: Enum>(value: inout [E]) throws where E.RawValue == Int {
        try handler.repeated(&value)
    }
    mutating func decodeSingularMessageField<M: Message>(value: inout M?) throws { try handler.message(&value) }
    mutating func decodeRepeatedMessageField<M: Message>(value: inout [M]) throws { try handler.repeated(&value) }
    mutating func decodeSingularGroupField<G: Message>(value: inout G?) throws { try handler.message(&value) }
    mutating func decodeRepeatedGroupField<G: Message>(value: inout [G]) throws { try handler.repeated(&value) }
    mutating func decodeMapField<K, V: MapValueType>(
        fieldType: _ProtobufMap<K, V>.Type, value: inout _ProtobufMap<K, V>.BaseType
    ) throws { try handler.map(K.self, V.self, &value) }
    mutating func decodeMapField<K, E>(
        fieldType: _ProtobufEnumMap<K, E>.Type, value: inout _ProtobufEnumMap<K, E>.BaseType
    ) throws where E.RawValue == Int { try handler.map(K.self, &value) }
    mutating func decodeMapField<K, M>(
        fieldType: _ProtobufMessageMap<K, M>.Type, value: inout _ProtobufMessageMap<K, M>.BaseType
    ) throws { try handler.map(K.self, &value) }
    mutating func decodeExtensionField(
        values: inout ExtensionFieldValueSet, messageType: any Message.Type, fieldNumber: Int
    ) throws {}
    mutating func decodeExtensionFieldsAsMessageSet(
        values: inout ExtensionFieldValueSet, messageType: any Message.Type
    ) throws {}
}

// One overload for each scalar type of protobuf.
extension FieldVisit {
    mutating func decodeSingularFloatField(value: inout Float) throws {
        try handler.singular(ProtobufFloat.self, &value)
    }
    mutating func decodeSingularFloatField(value: inout Float?) throws {
        try handler.optional(ProtobufFloat.self, &value)
    }
    mutating func decodeRepeatedFloatField(value: inout [Float]) throws {
        try handler.repeated(ProtobufFloat.self, &value)
    }
    mutating func decodeSingularDoubleField(value: inout Double) throws {
        try handler.singular(ProtobufDouble.self, &value)
    }
    mutating func decodeSingularDoubleField(value: inout Double?) throws {
        try handler.optional(ProtobufDouble.self, &value)
    }
    mutating func decodeRepeatedDoubleField(value: inout [Double]) throws {
        try handler.repeated(ProtobufDouble.self, &value)
    }
    mutating func decodeSingularInt32Field(value: inout Int32) throws {
        try handler.singular(ProtobufInt32.self, &value)
    }
    mutating func decodeSingularInt32Field(value: inout Int32?) throws {
        try handler.optional(ProtobufInt32.self, &value)
    }
    mutating func decodeRepeatedInt32Field(value: inout [Int32]) throws {
        try handler.repeated(ProtobufInt32.self, &value)
    }
    mutating func decodeSingularInt64Field(value: inout Int64) throws {
        try handler.singular(ProtobufInt64.self, &value)
    }
    mutating func decodeSingularInt64Field(value: inout Int64?) throws {
        try handler.optional(ProtobufInt64.self, &value)
    }
    mutating func decodeRepeatedInt64Field(value: inout [Int64]) throws {
        try handler.repeated(ProtobufInt64.self, &value)
    }
    mutating func decodeSingularUInt32Field(value: inout UInt32) throws {
        try handler.singular(ProtobufUInt32.self, &value)
    }
    mutating func decodeSingularUInt32Field(value: inout UInt32?) throws {
        try handler.optional(ProtobufUInt32.self, &value)
    }
    mutating func decodeRepeatedUInt32Field(value: inout [UInt32]) throws {
        try handler.repeated(ProtobufUInt32.self, &value)
    }
    mutating func decodeSingularUInt64Field(value: inout UInt64) throws {
        try handler.singular(ProtobufUInt64.self, &value)
    }
    mutating func decodeSingularUInt64Field(value: inout UInt64?) throws {
        try handler.optional(ProtobufUInt64.self, &value)
    }
    mutating func decodeRepeatedUInt64Field(value: inout [UInt64]) throws {
        try handler.repeated(ProtobufUInt64.self, &value)
    }
    mutating func decodeSingularSInt32Field(value: inout Int32) throws {
        try handler.singular(ProtobufSInt32.self, &value)
    }
    mutating func decodeSingularSInt32Field(value: inout Int32?) throws {
        try handler.optional(ProtobufSInt32.self, &value)
    }
    mutating func decodeRepeatedSInt32Field(value: inout [Int32]) throws {
        try handler.repeated(ProtobufSInt32.self, &value)
    }
    mutating func decodeSingularSInt64Field(value: inout Int64) throws {
        try handler.singular(ProtobufSInt64.self, &value)
    }
    mutating func decodeSingularSInt64Field(value: inout Int64?) throws {
        try handler.optional(ProtobufSInt64.self, &value)
    }
    mutating func decodeRepeatedSInt64Field(value: inout [Int64]) throws {
        try handler.repeated(ProtobufSInt64.self, &value)
    }
    mutating func decodeSingularFixed32Field(value: inout UInt32) throws {
        try handler.singular(ProtobufFixed32.self, &value)
    }
    mutating func decodeSingularFixed32Field(value: inout UInt32?) throws {
        try handler.optional(ProtobufFixed32.self, &value)
    }
    mutating func decodeRepeatedFixed32Field(value: inout [UInt32]) throws {
        try handler.repeated(ProtobufFixed32.self, &value)
    }
    mutating func decodeSingularFixed64Field(value: inout UInt64) throws {
        try handler.singular(ProtobufFixed64.self, &value)
    }
    mutating func decodeSingularFixed64Field(value: inout UInt64?) throws {
        try handler.optional(ProtobufFixed64.self, &value)
    }
    mutating func decodeRepeatedFixed64Field(value: inout [UInt64]) throws {
        try handler.repeated(ProtobufFixed64.self, &value)
    }
    mutating func decodeSingularSFixed32Field(value: inout Int32) throws {
        try handler.singular(ProtobufSFixed32.self, &value)
    }
    mutating func decodeSingularSFixed32Field(value: inout Int32?) throws {
        try handler.optional(ProtobufSFixed32.self, &value)
    }
    mutating func decodeRepeatedSFixed32Field(value: inout [Int32]) throws {
        try handler.repeated(ProtobufSFixed32.self, &value)
    }
    mutating func decodeSingularSFixed64Field(value: inout Int64) throws {
        try handler.singular(ProtobufSFixed64.self, &value)
    }
    mutating func decodeSingularSFixed64Field(value: inout Int64?) throws {
        try handler.optional(ProtobufSFixed64.self, &value)
    }
    mutating func decodeRepeatedSFixed64Field(value: inout [Int64]) throws {
        try handler.repeated(ProtobufSFixed64.self, &value)
    }
    mutating func decodeSingularBoolField(value: inout Bool) throws { try handler.singular(ProtobufBool.self, &value) }
    mutating func decodeSingularBoolField(value: inout Bool?) throws { try handler.optional(ProtobufBool.self, &value) }
    mutating func decodeRepeatedBoolField(value: inout [Bool]) throws {
        try handler.repeated(ProtobufBool.self, &value)
    }
    mutating func decodeSingularStringField(value: inout String) throws {
        try handler.singular(ProtobufString.self, &value)
    }
    mutating func decodeSingularStringField(value: inout String?) throws {
        try handler.optional(ProtobufString.self, &value)
    }
    mutating func decodeRepeatedStringField(value: inout [String]) throws {
        try handler.repeated(ProtobufString.self, &value)
    }
    mutating func decodeSingularBytesField(value: inout Data) throws {
        try handler.singular(ProtobufBytes.self, &value)
    }
    mutating func decodeSingularBytesField(value: inout Data?) throws {
        try handler.optional(ProtobufBytes.self, &value)
    }
    mutating func decodeRepeatedBytesField(value: inout [Data]) throws {
        try handler.repeated(ProtobufBytes.self, &value)
    }
}
