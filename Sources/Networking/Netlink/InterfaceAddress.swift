/// An address of an interface (`RTM_NEWADDR`, rtnetlink(7)).
struct InterfaceAddress: Equatable {
    var link: Int32
    var prefix: IPAddressPrefix

    static let newType: UInt16 = 20
    static let deleteType: UInt16 = 21
    static let getType: UInt16 = 22

    init?(_ message: NetlinkMessage) {
        guard message.type == Self.newType, message.payload.count >= 8,
            let index = message.payload.integer(Int32.self, at: 4)
        else { return nil }
        let attributes = NetlinkAttribute.decode(message.payload.dropFirst(8))
        // Of a point-to-point interface IFA_ADDRESS is the peer's address and IFA_LOCAL ours; IPv6 has only IFA_ADDRESS.
        guard let bytes = (attributes[type: 2] ?? attributes[type: 1])?.value, let address = IPAddress(bytes: bytes),
            let prefix = try? IPAddressPrefix(address, length: Int(message.payload[1]))
        else { return nil }
        link = index
        self.prefix = prefix
    }
}

extension IPAddress.Family {
    /// `AF_INET` or `AF_INET6`.
    var number: UInt8 { self == .v4 ? 2 : 10 }
}

extension NetlinkRequest {
    /// An address that is usable at once (no duplicate address detection: the lease rules duplicates out).
    static func addAddress(_ prefix: IPAddressPrefix, to index: Int32, name: String) -> NetlinkRequest {
        let family = prefix.address.family
        var attributes = [NetlinkAttribute(2, bytes: prefix.address.bytes), .init(1, bytes: prefix.address.bytes)]
        switch family {
        case .v4 where prefix.length < 31: attributes.append(.init(4, bytes: prefix.last.bytes))
        case .v4: break
        case .v6: attributes.append(.init(8, 0x82 as UInt32))
        }
        return NetlinkRequest(
            type: InterfaceAddress.newType, flags: [.create, .exclusive],
            payload: addressHeader(family, length: prefix.length, index: index) + NetlinkAttribute.encode(attributes),
            purpose: "add address \(prefix) to \(name)")
    }

    static func deleteAddress(_ prefix: IPAddressPrefix, of index: Int32, name: String) -> NetlinkRequest {
        NetlinkRequest(
            type: InterfaceAddress.deleteType,
            payload: addressHeader(prefix.address.family, length: prefix.length, index: index)
                + NetlinkAttribute.encode([.init(2, bytes: prefix.address.bytes)]),
            purpose: "delete address \(prefix) of \(name)")
    }

    static func addresses() -> NetlinkRequest {
        NetlinkRequest(
            type: InterfaceAddress.getType, flags: .dump, payload: [UInt8](repeating: 0, count: 8),
            purpose: "list addresses")
    }

    /// `struct ifaddrmsg`: family, prefix length, flags, scope, index: 8 bytes.
    private static func addressHeader(_ family: IPAddress.Family, length: Int, index: Int32) -> [UInt8] {
        var bytes = NetlinkBytes()
        bytes.append([family.number, UInt8(length), 0, 0])
        bytes.append(index)
        return bytes.bytes
    }
}
