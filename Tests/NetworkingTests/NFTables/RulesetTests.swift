@testable internal import Networking
internal import Testing

@Suite struct RulesetTests {
    private let pod: [IPAddress]

    init() throws {
        pod = [try IPAddress("10.85.0.2"), try IPAddress("fd00::2")]
    }

    private func forwards(_ mappings: PortMapping...) -> [String] {
        Ruleset.forwards(mappings, to: pod, bridge: "berth0", podID: "p1").map(\.addition)
    }

    @Test func aPortOfEveryAddressLeadsToBothFamilies() {
        #expect(
            forwards(PortMapping(hostPort: 8080, containerPort: 80)) == [
                "add element inet berth ports4 { 6 . 8080 comment \"berth0 p1\" : 10.85.0.2 . 80 }\n",
                "add element inet berth ports6 { 6 . 8080 comment \"berth0 p1\" : fd00::2 . 80 }\n",
            ])
    }

    @Test func anAddressOfTheHostLimitsThePort() throws {
        #expect(
            forwards(PortMapping(hostPort: 53, containerPort: 53, protocol: .udp, hostIP: try IPAddress("192.0.2.1")))
                == [
                    "add element inet berth ports4_at { 192.0.2.1 . 17 . 53 comment \"berth0 p1\" : 10.85.0.2 . 53 }\n"
                ])
        #expect(
            forwards(PortMapping(hostPort: 5, containerPort: 6, protocol: .sctp, hostIP: try IPAddress("0.0.0.0"))) == [
                "add element inet berth ports4 { 132 . 5 comment \"berth0 p1\" : 10.85.0.2 . 6 }\n"
            ])
        #expect(forwards(PortMapping(hostPort: 5, containerPort: 6, hostIP: try IPAddress("::"))).count == 2)
    }

    @Test func onlyMasqueradedPodsGetTheHostsAddress() throws {
        let subnets = [try IPAddressPrefix("10.85.0.0/16"), try IPAddressPrefix("fd00::/64")]
        #expect(
            Ruleset.admit(bridge: "b0", pods: subnets, isMasquerading: false) == """
                add element inet berth bridges { "b0" comment "b0" }
                add element inet berth pods4 { 10.85.0.0/16 comment "b0" }
                add element inet berth pods6 { fd00::/64 comment "b0" }

                """)
        #expect(Ruleset.admit(bridge: "b0", pods: subnets, isMasquerading: true).contains("masquerade6 { fd00::/64"))
    }

    @Test func hostPortZeroIsNone() {
        #expect(forwards(PortMapping(hostPort: 0, containerPort: 80)).isEmpty)
    }

    @Test func ownersFitInAComment() {
        let long = String(repeating: "x", count: 500)
        #expect(Ruleset.owner(bridge: "berth0", podID: long).utf8.count < 128)
        #expect(Ruleset.podKey(long) != Ruleset.podKey(long + "y"))
        #expect(Ruleset.podKey("a\"b").hasPrefix("hash-"))
    }

    @Test func readsNftsListing() throws {
        let listing = """
            {"nftables": [{"metainfo": {"version": "1.0.6"}},
             {"set": {"family": "inet", "name": "bridges", "table": "berth", "type": "ifname", "elem":
               [{"elem": {"val": "berth0", "comment": "berth0"}}]}},
             {"set": {"name": "masquerade4", "flags": ["interval"], "elem":
               [{"elem": {"val": {"prefix": {"addr": "10.85.0.0", "len": 16}}, "comment": "berth0"}}]}},
             {"map": {"name": "ports4", "type": ["inet_proto", "inet_service"], "map": "ipv4_addr . inet_service", "elem":
               [[{"elem": {"val": {"concat": ["tcp", 8080]}, "comment": "berth0 p1"}}, {"concat": ["10.85.0.2", 80]}]]}},
             {"map": {"name": "ports6"}},
             {"rule": {"family": "inet", "chain": "ports", "expr": []}}]}
            """
        #expect(
            try RulesetListing.elements(listing) == [
                .init(set: "bridges", key: "\"berth0\"", value: nil, owner: "berth0"),
                .init(set: "masquerade4", key: "10.85.0.0/16", value: nil, owner: "berth0"),
                .init(set: "ports4", key: "6 . 8080", value: "10.85.0.2 . 80", owner: "berth0 p1"),
            ])
    }
}
