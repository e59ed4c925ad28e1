internal import Core

/// Reads values of D-Bus's wire format, in little-endian order. Whatever it is given, it throws and does not trap.
struct DBusDecoder {
    private let bytes: [UInt8]
    private(set) var position: Int
    private let end: Int
    /// Arrays, structures and variants in each other; the specification allows 64.
    private var depth = 0

    init(_ bytes: [UInt8], from position: Int = 0, to end: Int? = nil) {
        self.bytes = bytes
        self.position = position
        self.end = min(end ?? bytes.count, bytes.count)
    }

    static func broken(_ why: String) -> BerthError {
        BerthError(.internal, "d-bus message: \(why)")
    }

    mutating func align(_ boundary: Int) throws {
        let padded = (position + boundary - 1) / boundary * boundary
        guard padded <= end else { throw Self.broken("ends within padding") }
        position = padded
    }

    /// The values of a sequence of complete types.
    mutating func values(_ signature: String) throws -> [DBusValue] {
        let types = Array(signature.utf8)
        var index = 0
        var values: [DBusValue] = []
        while index < types.count { values.append(try value(types, &index)) }
        return values
    }

    private mutating func value(_ types: [UInt8], _ index: inout Int) throws -> DBusValue {
        guard index < types.count else { throw Self.broken("signature ends within a type") }
        let type = types[index]
        index += 1
        switch type {
        case UInt8(ascii: "y"): return .byte(try integer(UInt8.self))
        case UInt8(ascii: "b"): return .boolean(try integer(UInt32.self) != 0)
        case UInt8(ascii: "i"): return .int32(try integer(Int32.self))
        case UInt8(ascii: "u"): return .uint32(try integer(UInt32.self))
        case UInt8(ascii: "x"): return .int64(try integer(Int64.self))
        case UInt8(ascii: "t"): return .uint64(try integer(UInt64.self))
        case UInt8(ascii: "s"): return .string(try text(length: Int(try integer(UInt32.self))))
        case UInt8(ascii: "o"): return .objectPath(try text(length: Int(try integer(UInt32.self))))
        case UInt8(ascii: "g"): return .signature(try text(length: Int(try integer(UInt8.self))))
        default: return try nested { decoder in try decoder.container(type, types, &index) }
        }
    }

    private mutating func nested(_ body: (inout DBusDecoder) throws -> DBusValue) throws -> DBusValue {
        depth += 1
        guard depth <= 64 else { throw Self.broken("is nested deeper than 64") }
        let value = try body(&self)
        depth -= 1
        return value
    }

    private mutating func container(_ type: UInt8, _ types: [UInt8], _ index: inout Int) throws -> DBusValue {
        switch type {
        case UInt8(ascii: "v"):
            let inner = Array(try text(length: Int(try integer(UInt8.self))).utf8)
            var place = 0
            let value = try value(inner, &place)
            guard place == inner.count else { throw Self.broken("a variant has more than one type") }
            return .variant(value)
        case UInt8(ascii: "a"):
            let start = index
            try Self.skip(types, &index, depth: 0)
            return try array(Array(types[start..<index]))
        case UInt8(ascii: "("), UInt8(ascii: "{"):
            let close = type == UInt8(ascii: "(") ? UInt8(ascii: ")") : UInt8(ascii: "}")
            try align(8)
            var fields: [DBusValue] = []
            while index < types.count, types[index] != close { fields.append(try value(types, &index)) }
            guard index < types.count, !fields.isEmpty else { throw Self.broken("signature has an open structure") }
            index += 1
            return .structure(fields)
        default: throw Self.broken("type \(type) is not known")
        }
    }

    private mutating func array(_ element: [UInt8]) throws -> DBusValue {
        let length = Int(try integer(UInt32.self))
        try align(alignment(ofDBusType: element.first ?? 0))
        guard length <= end - position else { throw Self.broken("an array ends behind the message") }
        let stop = position + length
        var values: [DBusValue] = []
        while position < stop {
            let before = position
            var index = 0
            values.append(try value(element, &index))
            // A type takes at least a byte, so this cannot go on for ever.
            guard position > before else { throw Self.broken("an array's element is empty") }
        }
        guard position == stop else { throw Self.broken("an array's element ends behind the array") }
        return .array(of: String(decoding: element, as: UTF8.self), values)
    }

    /// One complete type.
    private static func skip(_ types: [UInt8], _ index: inout Int, depth: Int) throws {
        guard index < types.count, depth <= 32 else { throw broken("signature ends within an array") }
        let type = types[index]
        index += 1
        switch type {
        case UInt8(ascii: "a"): try skip(types, &index, depth: depth + 1)
        case UInt8(ascii: "("), UInt8(ascii: "{"):
            let close = type == UInt8(ascii: "(") ? UInt8(ascii: ")") : UInt8(ascii: "}")
            while index < types.count, types[index] != close { try skip(types, &index, depth: depth + 1) }
            guard index < types.count else { throw broken("signature has an open structure") }
            index += 1
        default: break
        }
    }

    private mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws -> Value {
        let size = Value.bitWidth / 8
        try align(size)
        guard size <= end - position else { throw Self.broken("ends within a number") }
        var value: Value = 0
        for index in 0..<size { value |= Value(truncatingIfNeeded: bytes[position + index]) << Value(index * 8) }
        position += size
        return value
    }

    /// With the zero byte that ends it.
    private mutating func text(length: Int) throws -> String {
        guard length < end - position, bytes[position + length] == 0 else { throw Self.broken("ends within a string") }
        defer { position += length + 1 }
        return String(decoding: bytes[position..<position + length], as: UTF8.self)
    }
}
