internal import Core
@testable internal import Networking
internal import Testing

@Suite struct AddressTests {
    @Test(arguments: ["10.85.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "fd00:85::a:1", "fe80::1"])
    func textIsKept(_ text: String) throws {
        let address = try IPAddress(text)
        #expect(address.description == text)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(arguments: ["", "10.85.0", "10.85.0.256", "10.85.0.1/16", "fd00::1%eth0", "localhost", "::1::"])
    func whatIsNoAddressIsRefused(_ text: String) {
        #expect(throws: BerthError.self) { try IPAddress(text) }
    }

    @Test func prefixesHaveBounds() throws {
        let prefix = try IPAddressPrefix("10.85.3.7/16")
        #expect(prefix.network.description == "10.85.0.0/16")
        #expect(prefix.last.description == "10.85.255.255")
        #expect(prefix.contains(try IPAddress("10.85.255.1")))
        #expect(!prefix.contains(try IPAddress("10.86.0.0")))
        #expect(!prefix.contains(try IPAddress("::")))
        #expect(IPAddressPrefix.all(.v6).contains(try IPAddress("ffff::")))
        #expect(try IPAddressPrefix("10.0.0.0/8").overlaps(prefix))
        #expect(try !IPAddressPrefix("10.84.0.0/16").overlaps(prefix))
        for text in ["10.85.0.0/33", "10.85.0.0/-1", "10.85.0.0/+1", "10.85.0.0", "fd00::/129", "10.85.0.0/16/2"] {
            #expect(throws: BerthError.self) { try IPAddressPrefix(text) }
        }
    }

    private func pool(_ subnets: String..., start: String? = nil, end: String? = nil) throws -> AddressPool {
        AddressPool(
            ranges: try subnets.map { subnet in
                try AddressPool.Range(
                    AddressRange(
                        subnet: IPAddressPrefix(subnet), rangeStart: start.map(IPAddress.init),
                        rangeEnd: end.map(IPAddress.init)), path: "ranges[0][0]")
            })
    }

    @Test func aPoolGivesEveryHostAddressButTheGatewayOnce() throws {
        let addresses = try pool("10.1.0.0/29").candidates(after: nil).map(\.address.description)
        #expect(addresses == ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"])
    }

    @Test func aPoolGoesRoundFromTheLastAddress() throws {
        let addresses = try pool("10.1.0.0/29").candidates(after: IPAddress("10.1.0.4")).map(\.address.description)
        #expect(addresses == ["10.1.0.5", "10.1.0.6", "10.1.0.2", "10.1.0.3", "10.1.0.4"])
    }

    @Test func aPoolContinuesInItsNextRange() throws {
        let addresses = try pool("10.1.0.0/30", "10.2.0.0/30").candidates(after: nil).map(\.address.description)
        #expect(addresses == ["10.1.0.2", "10.2.0.2"])
    }

    @Test func aPoolStaysWithinItsBounds() throws {
        let range = try pool("fd00::/64", start: "fd00::10", end: "fd00::11")
        #expect(range.candidates(after: nil).map(\.address.description) == ["fd00::10", "fd00::11"])
        #expect(throws: BerthError.self) { try pool("10.1.0.0/24", start: "10.1.1.1") }
        #expect(throws: BerthError.self) { try pool("10.1.0.0/24", start: "10.1.0.9", end: "10.1.0.8") }
        #expect(throws: BerthError.self) { try pool("10.1.0.1/24") }
        #expect(throws: BerthError.self) { try pool("10.1.0.0/31") }
    }

    @Test func theWholeAddressSpaceIsNoTrap() throws {
        let all = try pool("::/0").candidates(after: nil)
        #expect(Array(all.prefix(2)).map(\.address.description) == ["::2", "::3"])
        let top = try pool("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124")
        #expect(
            top.candidates(after: try IPAddress("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")).map(\.address).count == 14)
    }
}
