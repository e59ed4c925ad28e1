internal import SwiftProtobuf

/// Names of enum values as in the .proto file, `SANDBOX_READY`.
enum EnumNames {
    /// `nil` for a value that the protocol does not know.
    static func name<E: Enum>(of value: E) throws -> String? where E.RawValue == Int {
        var probe = EnumProbe<E>()
        probe.value = value
        guard case .array(let elements)? = try JSONValue(parsing: probe.jsonString())["value"] else { return nil }
        return elements.first?.string
    }

    /// The value of that name among the numbers that CRI uses, 0 to 127.
    static func value<E: Enum>(named name: String, of type: E.Type) throws -> E? where E.RawValue == Int {
        for number in 0..<128 {
            guard let value = E(rawValue: number), try self.name(of: value) == name else { continue }
            return value
        }
        return nil
    }
}

/// A message of one repeated enum field. The names of enum values are to be had from a message's JSON only.
private struct EnumProbe<E: Enum>: Message, _ProtoNameProviding where E.RawValue == Int {
    var value = E()
    var unknownFields = UnknownStorage()

    static var protoMessageName: String { "EnumProbe" }
    static var _protobuf_nameMap: _NameMap { _NameMap(bytecode: "\0\u{1}value\0") }

    mutating func decodeMessage<D: Decoder>(decoder: inout D) throws {}

    func traverse<V: Visitor>(visitor: inout V) throws {
        try visitor.visitRepeatedEnumField(value: [value], fieldNumber: 1)
    }

    func isEqualTo(message: any Message) -> Bool {
        (message as? EnumProbe<E>)?.value == value
    }
}
