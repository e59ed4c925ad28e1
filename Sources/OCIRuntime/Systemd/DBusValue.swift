/// A value of the D-Bus wire format, as far as systemd's manager needs it (D-Bus Specification, "Type System").
public indirect enum DBusValue: Sendable, Hashable {
    case byte(UInt8)
    case boolean(Bool)
    case int32(Int32)
    case uint32(UInt32)
    case int64(Int64)
    case uint64(UInt64)
    case string(String)
    case objectPath(String)
    case signature(String)
    /// With the signature of its elements, which an empty one has too.
    case array(of: String, [DBusValue])
    /// A dictionary's entry is one too.
    case structure([DBusValue])
    case variant(DBusValue)

    public static func strings(_ values: [String]) -> DBusValue {
        .array(of: "s", values.map { .string($0) })
    }

    public static func bytes(_ values: [UInt8]) -> DBusValue {
        .array(of: "y", values.map { .byte($0) })
    }

    /// Its one complete type.
    public var signature: String {
        switch self {
        case .byte: "y"
        case .boolean: "b"
        case .int32: "i"
        case .uint32: "u"
        case .int64: "x"
        case .uint64: "t"
        case .string: "s"
        case .objectPath: "o"
        case .signature: "g"
        case .array(let element, _): "a" + element
        case .structure(let fields): "(" + fields.map(\.signature).joined() + ")"
        case .variant: "v"
        }
    }

    public var text: String? {
        switch self {
        case .string(let text), .objectPath(let text), .signature(let text): text
        case .variant(let inner): inner.text
        default: nil
        }
    }

    public var number: UInt64? {
        switch self {
        case .byte(let value): UInt64(value)
        case .uint32(let value): UInt64(value)
        case .uint64(let value): value
        case .int32(let value): UInt64(exactly: value)
        case .int64(let value): UInt64(exactly: value)
        case .variant(let inner): inner.number
        default: nil
        }
    }
}

/// Where the values of a type begin: at multiples of this many bytes.
func alignment(ofDBusType type: UInt8) -> Int {
    switch type {
    case UInt8(ascii: "y"), UInt8(ascii: "g"), UInt8(ascii: "v"): 1
    case UInt8(ascii: "x"), UInt8(ascii: "t"), UInt8(ascii: "("), UInt8(ascii: "{"): 8
    default: 4
    }
}
