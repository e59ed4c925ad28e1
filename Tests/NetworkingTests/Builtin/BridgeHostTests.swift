internal import Core
@testable internal import Networking
internal import SystemPackage
internal import Testing

/// The policy of the host's side, on a recording.
@Suite struct BridgeHostTests {
    private let host = BridgeHost(configuration: BuiltinNetworkConfiguration(), owner: "/run/berth")
    private let scope = RecordingScope()

    @Test func makesTheBridgeWithTheUplinksMTU() throws {
        scope.links = [RecordingScope.link(index: 4, name: "eth0", mtu: 1400)]
        scope.routeDump = [RecordingScope.route(.all(.v4), gateway: try IPAddress("192.0.2.1"), link: 4)]
        let prepared = try host.prepare(scope)
        #expect(prepared.site.bridge == "berth0")
        #expect(prepared.index == 9)
        #expect(prepared.mtu == 1400)
        #expect(prepared.warnings.isEmpty)
        #expect(
            scope.purposes.filter { !$0.hasPrefix("look up") && !$0.hasPrefix("list") } == [
                "create bridge berth0", "set the alias of berth0", "add address 10.85.0.1/16 to berth0",
                "set interface berth0 up",
            ])
        #expect(scope.settings["ipv4/ip_forward"] == "1")
        #expect(scope.settings["ipv4/conf/berth0/route_localnet"] == "1")
        #expect(
            scope.filters == [
                Ruleset.base + """
                    add element inet berth bridges { "berth0" comment "berth0" }
                    add element inet berth pods4 { 10.85.0.0/16 comment "berth0" }
                    add element inet berth masquerade4 { 10.85.0.0/16 comment "berth0" }

                    """
            ])
    }

    @Test func aBridgeThatIsReadyIsLeftAsItIs() throws {
        scope.links = [
            RecordingScope.link(index: 7, name: "berth0", alias: host.alias, kind: "bridge", flags: 1, mtu: 1500)
        ]
        let address = NetlinkRequest.addAddress(try IPAddressPrefix("10.85.0.1/16"), to: 7, name: "")
        scope.addressDump = [.init(type: 20, flags: [], sequence: 0, payload: address.payload)]
        scope.settings["ipv4/ip_forward"] = "1"
        #expect(try host.prepare(scope).index == 7)
        #expect(scope.requests.allSatisfy { $0.type == Link.getType || $0.type == InterfaceAddress.getType })
        #expect(scope.written == ["ipv4/conf/berth0/route_localnet=1"])
    }

    @Test func anotherDaemonsBridgeAndRangeAreLeftToIt() throws {
        scope.links = [
            RecordingScope.link(index: 7, name: "berth0", alias: "berth bridge /run/other", kind: "bridge", flags: 1)
        ]
        scope.routeDump = [RecordingScope.route(try IPAddressPrefix("10.85.0.0/16"), link: 7)]
        let prepared = try host.prepare(scope)
        #expect(prepared.site.bridge == "berth1")
        #expect(prepared.site.subnets.map(\.description) == ["10.86.0.0/16"])
    }

    @Test func thePodCIDRIsUsedOnTheBridgeThatIsThere() throws {
        scope.links = [
            RecordingScope.link(index: 7, name: "berth1", alias: host.alias, kind: "bridge", flags: 1, mtu: 1500)
        ]
        var host = host
        host.podCIDRs = [try IPAddressPrefix("10.244.3.0/24"), try IPAddressPrefix("fd00:3::/64")]
        let prepared = try host.prepare(scope)
        #expect(prepared.site.bridge == "berth1")
        #expect(prepared.site.subnets == host.podCIDRs)
        #expect(scope.purposes.contains("add address 10.244.3.1/24 to berth1"))
        #expect(scope.purposes.contains("add address fd00:3::1/64 to berth1"))
        #expect(!scope.purposes.contains { $0.hasPrefix("create") })
    }

    @Test func aPodCIDRThatARouteOverlapsIsRefusedOnABridgeThatIsThereToo() throws {
        scope.links = [
            RecordingScope.link(index: 7, name: "berth0", alias: host.alias, kind: "bridge", flags: 1, mtu: 1500),
            RecordingScope.link(index: 4, name: "eth1"),
        ]
        scope.routeDump = [RecordingScope.route(try IPAddressPrefix("10.244.0.0/16"), link: 4)]
        var host = host
        host.podCIDRs = [try IPAddressPrefix("10.244.3.0/24")]
        let error = #expect(throws: BerthError.self) { try host.prepare(scope) }
        #expect(error?.message.contains("overlaps the route 10.244.0.0/16 dev eth1") == true)
        #expect(!scope.purposes.contains { $0.hasPrefix("add address") })
    }

    @Test func aConfiguredRangeComesBeforeThePodCIDR() throws {
        var host = try fixed("10.9.0.0/16")
        host.podCIDRs = [try IPAddressPrefix("10.244.3.0/24")]
        #expect(try host.prepare(scope).site.subnets.map(\.description) == ["10.9.0.0/16"])
    }

    private func fixed(_ subnet: String) throws -> BridgeHost {
        BridgeHost(
            configuration: BuiltinNetworkConfiguration(
                placement: .fixed(bridge: "pods0", ranges: [[AddressRange(subnet: try IPAddressPrefix(subnet))]])),
            owner: "/run/berth")
    }

    @Test func aConfiguredRangeThatARouteOverlapsIsRefused() throws {
        scope.links = [RecordingScope.link(index: 4, name: "eth1")]
        scope.routeDump = [RecordingScope.route(try IPAddressPrefix("10.9.7.0/24"), link: 4)]
        let error = #expect(throws: BerthError.self) { try fixed("10.9.0.0/16").prepare(scope) }
        #expect(
            error?.message
                == "subnet 10.9.0.0/16 of the pod network overlaps the route 10.9.7.0/24 dev eth1 of this host")
        #expect(!scope.purposes.contains { $0.hasPrefix("create") })
    }

    @Test func aConfiguredBridgeOfAnotherDaemonIsRefused() throws {
        scope.links = [
            RecordingScope.link(index: 7, name: "pods0", alias: "berth bridge /run/other", kind: "bridge")
        ]
        let error = #expect(throws: BerthError.self) { try fixed("10.9.0.0/16").prepare(scope) }
        #expect(error?.message.contains("/run/other") == true)
        scope.links = [RecordingScope.link(index: 7, name: "pods0", kind: "dummy")]
        #expect(throws: BerthError.self) { try fixed("10.9.0.0/16").prepare(scope) }
    }

    @Test func aBridgeThatCannotBeFinishedIsDeleted() {
        scope.failing = ("set the alias of berth0", .refused(.notPermitted, explanation: "because"))
        let error = #expect(throws: BerthError.self) { try host.prepare(scope) }
        #expect(error?.message == "set the alias of berth0: Operation not permitted (because)")
        #expect(scope.purposes.last == "delete interface berth0")
    }

    @Test func withoutNftablesThereIsAWarning() throws {
        scope.filterProblem = "Error: Could not process rule: Protocol not supported\nadd table inet berth\n"
        let prepared = try host.prepare(scope)
        #expect(
            prepared.filterProblem
                == "nf_tables does not work on this kernel: Could not process rule: Protocol not supported")
        #expect(prepared.warnings.count == 1)
    }

    @Test func forwardingIPv6KeepsTheHostsRouterAdvertisements() throws {
        scope.settings["ipv6/conf/eth0/accept_ra"] = "1"
        #expect(try fixed("fd00:9::/64").prepare(scope).warnings.isEmpty)
        #expect(
            scope.written == [
                "ipv6/conf/pods0/accept_ra=0", "ipv6/conf/eth0/accept_ra=2", "ipv6/conf/all/forwarding=1",
            ])
    }

    @Test func aPodIsConnectedInOneExchangePerNamespace() throws {
        let link = PodLink(podID: "p1", interface: "eth0")
        try link.connect(scope, bridge: 9, mtu: 1400, hairpin: true, namespace: 12)
        let name = link.hostName
        #expect(name.utf8.count == 15)
        #expect(
            scope.purposes == [
                "delete interface \(name)", "create interface \(name) with its peer eth0 in the pod",
                "turn off link-local addresses of \(name)", "set the alias of \(name)", "set hairpin mode of \(name)",
                "set interface \(name) up",
            ])
        scope.requests = []
        scope.links = [RecordingScope.link(index: 2, name: "eth0")]
        _ = try link.configure(
            scope, addresses: [IPAddressPrefix("10.85.0.2/16"), IPAddressPrefix("fd00::2/64")],
            routes: [.init(destination: .all(.v4), gateway: IPAddress("10.85.0.1"))])
        #expect(
            scope.purposes == [
                "look up interface eth0", "set interface lo up", "set interface eth0 up",
                "add address 10.85.0.2/16 to eth0", "add address fd00::2/64 to eth0",
                "add route to 0.0.0.0/0 via 10.85.0.1 on eth0",
            ])
        #expect(scope.written == ["ipv6/conf/eth0/accept_ra=0"])
    }
}
