extension NetlinkRequest {
    /// `struct ifinfomsg`: family, padding, device type, index, flags, change mask: 16 bytes.
    private static func linkHeader(
        index: Int32 = 0, family: UInt8 = 0, flags: UInt32 = 0, change: UInt32 = 0
    ) -> [UInt8] {
        var bytes = NetlinkBytes()
        bytes.append(family)
        bytes.append(0 as UInt8)
        bytes.append(0 as UInt16)
        bytes.append(index)
        bytes.append(flags)
        bytes.append(change)
        return bytes.bytes
    }

    private static func link(
        _ type: UInt16, _ flags: NetlinkFlags, header: [UInt8], _ attributes: [NetlinkAttribute], _ purpose: String
    ) -> NetlinkRequest {
        NetlinkRequest(
            type: type, flags: flags, payload: header + NetlinkAttribute.encode(attributes), purpose: purpose)
    }

    private static let up: UInt32 = 1

    static func links() -> NetlinkRequest {
        link(Link.getType, .dump, header: linkHeader(), [], "list interfaces")
    }

    static func link(named name: String) -> NetlinkRequest {
        link(Link.getType, [], header: linkHeader(), [.init(Link.Attribute.name, name)], "look up interface \(name)")
    }

    /// A bridge that is down.
    ///
    /// - Parameter address: its MAC address. Given, since a bridge without one takes its lowest port's and changes it as
    ///   ports come and go, which breaks the neighbour caches of all pods.
    static func addBridge(_ name: String, mtu: UInt32?, address: [UInt8]) -> NetlinkRequest {
        var attributes: [NetlinkAttribute] = [
            .init(Link.Attribute.name, name), .init(Link.Attribute.address, bytes: address),
        ]
        if let mtu { attributes.append(.init(Link.Attribute.mtu, mtu)) }
        attributes.append(.init(Link.Attribute.info, nested: [.init(Link.Attribute.infoKind, "bridge")]))
        return link(
            Link.newType, [.create, .exclusive], header: linkHeader(), attributes, "create bridge \(name)")
    }

    /// A veth pair, both ends down: `name` here as a port of `master`, `peer` in another namespace.
    static func addVeth(
        _ name: String, master: Int32, mtu: UInt32?, peer: String, peerNamespace: Int32
    ) -> NetlinkRequest {
        let mtu = mtu.map { [NetlinkAttribute(Link.Attribute.mtu, $0)] } ?? []
        let peerEnd = NetlinkAttribute(
            Link.Attribute.vethPeer,
            nested: [
                .init(Link.Attribute.name, peer), .init(Link.Attribute.namespaceDescriptor, peerNamespace),
            ] + mtu, after: linkHeader())
        let info = NetlinkAttribute(
            Link.Attribute.info,
            nested: [.init(Link.Attribute.infoKind, "veth"), .init(Link.Attribute.infoData, nested: [peerEnd])])
        return link(
            Link.newType, [.create, .exclusive], header: linkHeader(),
            [.init(Link.Attribute.name, name), .init(Link.Attribute.master, master)] + mtu + [info],
            "create interface \(name) with its peer \(peer) in the pod")
    }

    static func setUp(_ index: Int32, name: String) -> NetlinkRequest {
        link(
            Link.newType, [], header: linkHeader(index: index, flags: up, change: up), [], "set interface \(name) up")
    }

    static func setUp(_ name: String) -> NetlinkRequest {
        link(
            Link.newType, [], header: linkHeader(flags: up, change: up), [.init(Link.Attribute.name, name)],
            "set interface \(name) up")
    }

    static func setAlias(_ name: String, _ alias: String) -> NetlinkRequest {
        link(
            Link.newType, [], header: linkHeader(),
            [.init(Link.Attribute.name, name), .init(Link.Attribute.alias, alias)], "set the alias of \(name)")
    }

    /// No link-local address of its own: a bridge port needs none.
    static func withoutLinkLocalAddress(_ name: String) -> NetlinkRequest {
        link(
            Link.newType, [], header: linkHeader(),
            [
                .init(Link.Attribute.name, name),
                .init(
                    Link.Attribute.addressFamilies,
                    nested: [.init(10, nested: [.init(Link.Attribute.ipv6AddressGeneration, 1 as UInt8)])]),
            ], "turn off link-local addresses of \(name)")
    }

    /// Lets a bridge port send a frame back where it came from: a pod that reaches itself by its host port.
    static func setHairpin(_ name: String, _ on: Bool) -> NetlinkRequest {
        let mode = NetlinkAttribute(Link.Attribute.bridgePortHairpin, UInt8(on ? 1 : 0))
        return link(
            Link.newType, [], header: linkHeader(),
            [
                .init(Link.Attribute.name, name),
                .init(
                    Link.Attribute.info,
                    nested: [
                        .init(Link.Attribute.infoPortKind, "bridge"),
                        .init(Link.Attribute.infoPortData, nested: [mode]),
                    ]),
            ], "set hairpin mode of \(name)")
    }

    static func deleteLink(_ name: String) -> NetlinkRequest {
        link(
            Link.deleteType, [], header: linkHeader(), [.init(Link.Attribute.name, name)],
            "delete interface \(name)")
    }
}
