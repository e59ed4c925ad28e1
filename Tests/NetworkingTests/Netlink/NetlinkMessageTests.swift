@testable internal import Networking
internal import SystemPackage
internal import Testing

/// Messages as the kernel wants them (rtnetlink(7), linux/rtnetlink.h), on a little-endian machine.
@Suite struct NetlinkMessageTests {
    private func message(_ request: NetlinkRequest, sequence: UInt32 = 1) -> [UInt8] {
        NetlinkExchange([request], firstSequence: sequence).datagram
    }

    @Test func createsABridge() {
        let expected = hex(
            """
            50000000                            # nlmsg_len 80
            1000                                # RTM_NEWLINK
            0506                                # REQUEST | ACK | EXCL | CREATE
            01000000 00000000                   # sequence, port
            00 00 0000 00000000 00000000 00000000  # ifinfomsg
            0b00 0300 6265727468300000          # IFLA_IFNAME "berth0", padded: length 11
            0a00 0100 020102030405 0000         # IFLA_ADDRESS
            0800 0400 78050000                  # IFLA_MTU 1400
            1000 1280                           # IFLA_LINKINFO, nested
              0b00 0100 62726964676500 00       #   IFLA_INFO_KIND "bridge"
            """)
        #expect(message(.addBridge("berth0", mtu: 1400, address: [2, 1, 2, 3, 4, 5])) == expected)
    }

    @Test func createsAVethPairWithThePeerInAnotherNamespace() {
        let expected = hex(
            """
            6c000000 1000 0506 07000000 00000000   # 108 bytes, RTM_NEWLINK, sequence 7
            00 00 0000 00000000 00000000 00000000  # ifinfomsg: down
            0700 0300 766100 00                    # IFLA_IFNAME "va"
            0800 0a00 09000000                     # IFLA_MASTER 9
            3c00 1280                              # IFLA_LINKINFO
              0900 0100 7665746800 000000          #   IFLA_INFO_KIND "veth"
              2c00 0280                            #   IFLA_INFO_DATA
                2800 0180                          #     VETH_INFO_PEER
                  00 00 0000 00000000 00000000 00000000
                  0900 0300 6574683000 000000      #       IFLA_IFNAME "eth0"
                  0800 1c00 0c000000               #       IFLA_NET_NS_FD 12
            """)
        #expect(
            message(.addVeth("va", master: 9, mtu: nil, peer: "eth0", peerNamespace: 12), sequence: 7) == expected)
    }

    @Test func setsALinkUp() {
        #expect(
            message(.setUp(1, name: "lo"))
                == hex(
                    """
                    20000000 1000 0500 01000000 00000000
                    00 00 0000 01000000 01000000 01000000  # index 1, IFF_UP, change IFF_UP
                    """))
    }

    @Test func addsAddressesOfBothFamilies() throws {
        #expect(
            message(.addAddress(try IPAddressPrefix("10.85.0.2/16"), to: 3, name: "eth0"))
                == hex(
                    """
                    30000000 1400 0506 01000000 00000000   # RTM_NEWADDR
                    02 10 00 00 03000000                   # AF_INET, /16, index 3
                    0800 0200 0a550002                     # IFA_LOCAL
                    0800 0100 0a550002                     # IFA_ADDRESS
                    0800 0400 0a55ffff                     # IFA_BROADCAST
                    """))
        #expect(
            message(.addAddress(try IPAddressPrefix("fd00:85::2/64"), to: 3, name: "eth0"))
                == hex(
                    """
                    48000000 1400 0506 01000000 00000000
                    0a 40 00 00 03000000                   # AF_INET6, /64
                    1400 0200 fd000085000000000000000000000002
                    1400 0100 fd000085000000000000000000000002
                    0800 0800 82000000                     # IFA_FLAGS: PERMANENT | NODAD
                    """))
    }

    @Test func addsRoutes() throws {
        #expect(
            message(.addRoute(.all(.v4), gateway: try IPAddress("10.85.0.1"), link: 3, name: "eth0"))
                == hex(
                    """
                    2c000000 1800 0506 01000000 00000000   # RTM_NEWROUTE
                    02 00 00 00 fe 03 00 01 00000000       # AF_INET, /0, main, boot, universe, unicast
                    0800 0500 0a550001                     # RTA_GATEWAY
                    0800 0400 03000000                     # RTA_OIF
                    """))
        #expect(
            message(.addRoute(try IPAddressPrefix("10.9.0.0/16"), gateway: nil, link: 3, name: "eth0"))
                == hex(
                    """
                    2c000000 1800 0506 01000000 00000000
                    02 10 00 00 fe 03 fd 01 00000000       # scope link
                    0800 0100 0a090000                     # RTA_DST
                    0800 0400 03000000
                    """))
    }

    @Test func dumpsAskForEverything() {
        #expect(message(.routes()) == hex("1c000000 1a00 0503 01000000 00000000" + String(repeating: "00", count: 12)))
    }

    @Test func readsALink() throws {
        let datagram = hex(
            """
            5c000000 1000 0200 05000000 b2040000
            00 00 0100 07000000 43100000 00000000      # ARPHRD_ETHER, index 7, flags
            0b00 0300 6265727468300000                 # IFLA_IFNAME
            0800 0400 dc050000                         # IFLA_MTU 1500
            0a00 0100 0242ac110002 0000                # IFLA_ADDRESS
            0b00 1400 73616d706c6500 00                # IFLA_IFALIAS "sample"
            1000 1200 0b00 0100 62726964676500 00      # IFLA_LINKINFO without the nested bit: old kernels
            """)
        let link = try #require(try NetlinkMessage.decode(datagram).first.flatMap(Link.init))
        #expect(link.index == 7)
        #expect(link.name == "berth0")
        #expect(link.isUp)
        #expect(link.mtu == 1500)
        #expect(link.hardwareAddressText == "02:42:ac:11:00:02")
        #expect(link.kind == "bridge")
        #expect(link.alias == "sample")
        #expect(link.master == nil)
    }

    @Test func readsBackWhatItWrites() throws {
        let address = NetlinkRequest.addAddress(try IPAddressPrefix("fd00::7/64"), to: 4, name: "x")
        let read = InterfaceAddress(
            NetlinkMessage(type: address.type, flags: [], sequence: 0, payload: address.payload))
        #expect(read?.prefix.description == "fd00::7/64")
        #expect(read?.link == 4)
        let route = Route(RecordingScope.route(.all(.v6), gateway: try IPAddress("fd00::1"), link: 4))
        #expect(route?.gateway?.description == "fd00::1")
        #expect(route?.destination.length == 0)
        #expect(route?.table == Route.mainTable)
    }

    @Test func anAcknowledgementEndsAnExchange() throws {
        var exchange = NetlinkExchange([.setUp(1, name: "lo"), .setUp(2, name: "x")], firstSequence: 5)
        try exchange.receive(
            hex("24000000 0200 0001 05000000 b2040000 00000000 20000000 1000 0500 05000000 00000000"))
        #expect(!exchange.isComplete)
        try exchange.receive(
            hex("24000000 0200 0001 06000000 b2040000 edffffff 20000000 1000 0500 06000000 00000000"))
        #expect(exchange.isComplete)
        #expect(exchange.results == [.success([]), .failure(.refused(.noSuchDevice, explanation: nil))])
    }

    @Test func theKernelsExplanationIsInTheError() throws {
        var exchange = NetlinkExchange([.setUp(1, name: "lo")], firstSequence: 1)
        try exchange.receive(
            hex(
                """
                34000000 0200 0003 01000000 00000000   # ERROR, CAPPED | ACK_TLVS
                eaffffff                               # -EINVAL
                20000000 1000 0500 01000000 00000000   # the request's header
                0d00 0100 4e6f20737563683f00 000000      # NLMSGERR_ATTR_MSG "No such?"
                """))
        #expect(exchange.results == [.failure(.refused(.invalidArgument, explanation: "No such?"))])
        var long = NetlinkExchange([.setUp(1, name: "lo")], firstSequence: 1)
        try long.receive(
            hex(
                """
                44000000 0200 0002 01000000 00000000   # not capped: the whole request is echoed
                eaffffff
                20000000 1000 0500 01000000 00000000 00000000 01000000 01000000 01000000
                0d00 0100 4e6f20737563683f00 000000
                """))
        #expect(long.results == [.failure(.refused(.invalidArgument, explanation: "No such?"))])
    }

    @Test func aDumpEndsWithDone() throws {
        var exchange = NetlinkExchange([.links()], firstSequence: 3)
        let link = RecordingScope.link(index: 1, name: "lo")
        let part = NetlinkMessage(type: 16, flags: .multipart, sequence: 3, payload: link.payload)
        try exchange.receive(part.encoded + part.encoded)
        #expect(!exchange.isComplete)
        // What an earlier exchange left is not an answer to this one.
        try exchange.receive(NetlinkMessage(type: 3, flags: .multipart, sequence: 2, payload: [0, 0, 0, 0]).encoded)
        #expect(!exchange.isComplete)
        try exchange.receive(hex("14000000 0300 0200 03000000 b2040000 00000000"))
        #expect(exchange.isComplete)
        #expect(try exchange.results[0].get().count == 2)
    }

    @Test(arguments: [
        "08000000 0200 0000", "ff000000 0200 0000 01000000 00000000", "14000000 0200 0000 01000000 00000000",
    ])
    func malformedAnswersAreErrors(_ bytes: String) {
        #expect(throws: NetlinkError.self) {
            var exchange = NetlinkExchange([.setUp(1, name: "lo")], firstSequence: 1)
            try exchange.receive(hex(bytes))
            try exchange.receive(hex("10000000 0200 0000 01000000 00000000"))
        }
    }

    @Test func malformedAttributesAreLeftOut() {
        #expect(NetlinkAttribute.decode(hex("0300 0100 00000000")[...]).isEmpty)
        #expect(NetlinkAttribute.decode(hex("0500 0100 41 000000 ff00 0200")[...]).count == 1)
    }
}
