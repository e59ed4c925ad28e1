/// A netlink attribute (`struct nlattr`): 2 bytes length including the header, 2 bytes type, value, padding to 4.
struct NetlinkAttribute: Equatable {
    /// Without the `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` bits.
    let type: UInt16
    let value: [UInt8]
    let isNested: Bool

    init(_ type: UInt16, bytes: [UInt8]) {
        self.type = type
        value = bytes
        isNested = false
    }

    init(_ type: UInt16, _ number: some FixedWidthInteger) {
        self.init(type, bytes: withUnsafeBytes(of: number) { Array($0) })
    }

    /// Zero-terminated text.
    init(_ type: UInt16, _ text: String) {
        self.init(type, bytes: Array(text.utf8) + [0])
    }

    init(_ type: UInt16, nested: [NetlinkAttribute], after header: [UInt8] = []) {
        self.type = type
        value = header + Self.encode(nested)
        isNested = true
    }

    static func encode(_ attributes: [NetlinkAttribute]) -> [UInt8] {
        var bytes = NetlinkBytes()
        for attribute in attributes {
            bytes.append(UInt16(truncatingIfNeeded: attribute.value.count + 4))
            bytes.append(attribute.type | (attribute.isNested ? 0x8000 : 0))
            bytes.append(attribute.value)
            bytes.align()
        }
        return bytes.bytes
    }

    /// The attributes in `bytes`; what follows a malformed one is left out.
    static func decode(_ bytes: ArraySlice<UInt8>) -> [NetlinkAttribute] {
        var rest = bytes
        var attributes: [NetlinkAttribute] = []
        while let length = rest.integer(UInt16.self, at: 0), let type = rest.integer(UInt16.self, at: 2) {
            guard length >= 4, Int(length) <= rest.count else { break }
            attributes.append(
                NetlinkAttribute(type & 0x3fff, bytes: Array(rest.dropFirst(4).prefix(Int(length) - 4))))
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return attributes
    }

    var nested: [NetlinkAttribute] { Self.decode(value[...]) }
    var text: String { value.netlinkText }
    var number: UInt32? { value.integer(UInt32.self, at: 0) }
}

extension [NetlinkAttribute] {
    subscript(type type: UInt16) -> NetlinkAttribute? { first { $0.type == type } }
}
