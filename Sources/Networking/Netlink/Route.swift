/// A unicast route of the main table (`RTM_NEWROUTE`, rtnetlink(7)).
struct Route: Equatable {
    var destination: IPAddressPrefix
    var gateway: IPAddress?
    var link: Int32?
    var table: UInt32
    /// `RTN_UNICAST` is 1, `RTN_LOCAL` 2.
    var type: UInt8

    static let newType: UInt16 = 24
    static let deleteType: UInt16 = 25
    static let getType: UInt16 = 26
    static let mainTable: UInt32 = 254

    init?(_ message: NetlinkMessage) {
        guard message.type == Self.newType, message.payload.count >= 12 else { return nil }
        let family: IPAddress.Family
        switch message.payload[0] {
        case 2: family = .v4
        case 10: family = .v6
        default: return nil
        }
        let attributes = NetlinkAttribute.decode(message.payload.dropFirst(12))
        let address =
            attributes[type: 1].flatMap { IPAddress(bytes: $0.value) } ?? IPAddress(family: family, value: 0)
        guard let destination = try? IPAddressPrefix(address, length: Int(message.payload[1])) else { return nil }
        self.destination = destination
        gateway = attributes[type: 5].flatMap { IPAddress(bytes: $0.value) }
        link = attributes[type: 4]?.number.map(Int32.init(bitPattern:))
        table = attributes[type: 15]?.number ?? UInt32(message.payload[4])
        type = message.payload[7]
    }
}

extension NetlinkRequest {
    /// - Parameter gateway: `nil` for what is on the link itself.
    static func addRoute(
        _ destination: IPAddressPrefix, gateway: IPAddress?, link: Int32, name: String
    ) -> NetlinkRequest {
        var attributes: [NetlinkAttribute] = []
        if destination.length > 0 { attributes.append(.init(1, bytes: destination.first.bytes)) }
        if let gateway { attributes.append(.init(5, bytes: gateway.bytes)) }
        attributes.append(.init(4, link))
        // struct rtmsg: family, lengths of destination and source, tos, table, protocol (boot), scope (universe or link),
        // type (unicast), flags: 12 bytes.
        let header: [UInt8] = [
            destination.address.family.number, UInt8(destination.length), 0, 0, UInt8(Route.mainTable), 3,
            gateway == nil ? 253 : 0, 1, 0, 0, 0, 0,
        ]
        return NetlinkRequest(
            type: Route.newType, flags: [.create, .exclusive], payload: header + NetlinkAttribute.encode(attributes),
            purpose: "add route to \(destination)\(gateway.map { " via \($0)" } ?? "") on \(name)")
    }

    static func routes() -> NetlinkRequest {
        NetlinkRequest(
            type: Route.getType, flags: .dump, payload: [UInt8](repeating: 0, count: 12), purpose: "list routes")
    }
}
