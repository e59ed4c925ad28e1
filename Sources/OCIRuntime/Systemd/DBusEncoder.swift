/// Writes values in D-Bus's wire format, in little-endian order.
struct DBusEncoder {
    private(set) var bytes: [UInt8] = []

    mutating func align(_ boundary: Int) {
        while bytes.count % boundary != 0 { bytes.append(0) }
    }

    mutating func append(_ value: DBusValue) {
        switch value {
        case .byte(let value): bytes.append(value)
        case .boolean(let value): integer(UInt32(value ? 1 : 0))
        case .int32(let value): integer(value)
        case .uint32(let value): integer(value)
        case .int64(let value): integer(value)
        case .uint64(let value): integer(value)
        case .string(let text), .objectPath(let text): string(text)
        case .signature(let text): signature(text)
        case .array(let element, let values): array(element, values)
        case .structure(let fields):
            align(8)
            for field in fields { append(field) }
        case .variant(let inner):
            signature(inner.signature)
            append(inner)
        }
    }

    private mutating func integer(_ value: some FixedWidthInteger) {
        align(value.bitWidth / 8)
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func string(_ text: String) {
        let encoded = Array(text.utf8)
        integer(UInt32(clamping: encoded.count))
        bytes += encoded
        bytes.append(0)
    }

    private mutating func signature(_ text: String) {
        let encoded = Array(text.utf8)
        bytes.append(UInt8(clamping: encoded.count))
        bytes += encoded
        bytes.append(0)
    }

    private mutating func array(_ element: String, _ values: [DBusValue]) {
        integer(UInt32(0))
        let place = bytes.count - 4
        // The padding before the first element is there for an empty array too, and is not part of its length.
        align(alignment(ofDBusType: element.utf8.first ?? 0))
        let start = bytes.count
        for value in values { append(value) }
        let length = UInt32(clamping: bytes.count - start)
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(index))) }
    }
}
