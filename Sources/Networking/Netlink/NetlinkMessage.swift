/// `NLM_F_*` of a request.
struct NetlinkFlags: OptionSet, Hashable {
    let rawValue: UInt16

    static let request = NetlinkFlags(rawValue: 0x001)
    static let multipart = NetlinkFlags(rawValue: 0x002)
    static let acknowledge = NetlinkFlags(rawValue: 0x004)
    /// `NLM_F_ROOT | NLM_F_MATCH`.
    static let dump = NetlinkFlags(rawValue: 0x300)
    static let replace = NetlinkFlags(rawValue: 0x100)
    static let exclusive = NetlinkFlags(rawValue: 0x200)
    static let create = NetlinkFlags(rawValue: 0x400)
    /// In an error: the request is echoed by its header only.
    static let capped = NetlinkFlags(rawValue: 0x100)
    /// In an error: attributes follow.
    static let explained = NetlinkFlags(rawValue: 0x200)
}

/// A netlink message: 16 bytes of header (`struct nlmsghdr`), then the payload, padded to 4.
struct NetlinkMessage: Equatable {
    var type: UInt16
    var flags: NetlinkFlags
    var sequence: UInt32
    var payload: [UInt8]

    static let errorType: UInt16 = 2
    static let doneType: UInt16 = 3

    var encoded: [UInt8] {
        var bytes = NetlinkBytes()
        bytes.append(UInt32(16 + payload.count))
        bytes.append(type)
        bytes.append(flags.rawValue)
        bytes.append(sequence)
        bytes.append(0 as UInt32)
        bytes.append(payload)
        bytes.align()
        return bytes.bytes
    }

    /// The messages of one datagram.
    ///
    /// - Throws: `NetlinkError.malformed` for a length that does not fit.
    static func decode(_ datagram: [UInt8]) throws(NetlinkError) -> [NetlinkMessage] {
        var rest = datagram[...]
        var messages: [NetlinkMessage] = []
        while let length = rest.integer(UInt32.self, at: 0) {
            guard length >= 16, Int(length) <= rest.count, let type = rest.integer(UInt16.self, at: 4),
                let flags = rest.integer(UInt16.self, at: 6), let sequence = rest.integer(UInt32.self, at: 8)
            else { throw .malformed("a message of \(length) bytes in \(rest.count)") }
            messages.append(
                NetlinkMessage(
                    type: type, flags: NetlinkFlags(rawValue: flags), sequence: sequence,
                    payload: Array(rest.dropFirst(16).prefix(Int(length) - 16))))
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return messages
    }
}
