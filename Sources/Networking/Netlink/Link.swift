/// A network interface as the kernel lists it (`RTM_NEWLINK`, rtnetlink(7)).
struct Link: Equatable {
    var index: Int32
    var name: String
    var flags: UInt32
    var mtu: UInt32?
    /// Index of the bridge that it is a port of.
    var master: Int32?
    var hardwareAddress: [UInt8]
    /// `bridge`, `veth`; `nil` for physical and loopback interfaces.
    var kind: String?
    var alias: String?

    var isUp: Bool { flags & 1 != 0 }

    var hardwareAddressText: String {
        hardwareAddress.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined(separator: ":")
    }

    static let newType: UInt16 = 16
    static let deleteType: UInt16 = 17
    static let getType: UInt16 = 18

    enum Attribute {
        static let address: UInt16 = 1
        static let name: UInt16 = 3
        static let mtu: UInt16 = 4
        static let master: UInt16 = 10
        static let info: UInt16 = 18
        static let infoKind: UInt16 = 1
        static let infoData: UInt16 = 2
        static let infoPortKind: UInt16 = 4
        static let infoPortData: UInt16 = 5
        static let alias: UInt16 = 20
        static let addressFamilies: UInt16 = 26
        static let namespaceDescriptor: UInt16 = 28
        static let vethPeer: UInt16 = 1
        static let bridgePortHairpin: UInt16 = 4
        static let ipv6AddressGeneration: UInt16 = 8
    }

    init?(_ message: NetlinkMessage) {
        guard message.type == Self.newType, let index = message.payload.integer(Int32.self, at: 4),
            let flags = message.payload.integer(UInt32.self, at: 8)
        else { return nil }
        let attributes = NetlinkAttribute.decode(message.payload.dropFirst(16))
        self.index = index
        self.flags = flags
        name = attributes[type: Attribute.name]?.text ?? ""
        mtu = attributes[type: Attribute.mtu]?.number
        master = attributes[type: Attribute.master]?.number.map(Int32.init(bitPattern:))
        hardwareAddress = attributes[type: Attribute.address]?.value ?? []
        kind = attributes[type: Attribute.info]?.nested[type: Attribute.infoKind]?.text
        alias = attributes[type: Attribute.alias]?.text
    }
}
