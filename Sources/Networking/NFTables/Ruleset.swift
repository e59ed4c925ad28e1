/// The text of the `berth` table: masquerade, host ports and the guard of the host's loopback.
///
/// All networks of the host, of all daemons, share the table. What belongs to one network or pod are elements of its sets
/// and maps, with comments, so that they are found and taken away one by one; the rules never change.
enum Ruleset {
    static let table = "inet berth"

    /// Defines the table; repeating it changes nothing but puts changed rules right.
    ///
    /// Pods that call a host port are told by address and not by interface: where bridged packets pass the IP hooks
    /// (bridge-nf-call-iptables) the postrouting hook does not know the incoming interface.
    static let base = """
        add table inet berth
        add set inet berth bridges { type ifname; }
        add set inet berth pods4 { type ipv4_addr; flags interval; }
        add set inet berth pods6 { type ipv6_addr; flags interval; }
        add set inet berth masquerade4 { type ipv4_addr; flags interval; }
        add set inet berth masquerade6 { type ipv6_addr; flags interval; }
        add map inet berth ports4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
        add map inet berth ports6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
        add map inet berth ports4_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
        add map inet berth ports6_at { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
        add chain inet berth guard { type filter hook prerouting priority -300; policy accept; }
        add chain inet berth ports
        add chain inet berth prerouting { type nat hook prerouting priority -100; policy accept; }
        add chain inet berth output { type nat hook output priority -100; policy accept; }
        add chain inet berth postrouting { type nat hook postrouting priority 100; policy accept; }
        flush chain inet berth guard
        flush chain inet berth ports
        flush chain inet berth prerouting
        flush chain inet berth output
        flush chain inet berth postrouting
        add rule inet berth guard iifname @bridges ip daddr 127.0.0.0/8 drop
        add rule inet berth guard iifname @bridges ip saddr 127.0.0.0/8 drop
        add rule inet berth ports dnat ip to ip daddr . meta l4proto . th dport map @ports4_at
        add rule inet berth ports dnat ip to meta l4proto . th dport map @ports4
        add rule inet berth ports dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_at
        add rule inet berth ports ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @ports6
        add rule inet berth prerouting fib daddr type local jump ports
        add rule inet berth output fib daddr type local jump ports
        add rule inet berth postrouting ip saddr @pods4 oifname @bridges ct status dnat masquerade
        add rule inet berth postrouting ip6 saddr @pods6 oifname @bridges ct status dnat masquerade
        add rule inet berth postrouting ip saddr 127.0.0.0/8 oifname @bridges ct status dnat masquerade
        add rule inet berth postrouting ip saddr @masquerade4 ip daddr != @masquerade4 ip daddr != 224.0.0.0/4 masquerade
        add rule inet berth postrouting ip6 saddr @masquerade6 ip6 daddr != @masquerade6 ip6 daddr != ff00::/8 masquerade

        """

    /// Makes the pods of `bridge` known: `base` must stand before it in the same transaction.
    ///
    /// - Parameter isMasquerading: they reach other networks with the host's address.
    static func admit(bridge: String, pods subnets: [IPAddressPrefix], isMasquerading: Bool) -> String {
        let bridges = Element(set: "bridges", key: "\"\(bridge)\"", owner: bridge)
        let sets = isMasquerading ? ["pods", "masquerade"] : ["pods"]
        let pods = subnets.flatMap { subnet in
            sets.map { Element(set: $0 + subnet.address.family.digit, key: "\(subnet.network)", owner: bridge) }
        }
        return ([bridges] + pods).map(\.addition).joined()
    }

    /// An element of a set or map: `{ KEY comment "OWNER" : VALUE }`.
    struct Element: Hashable {
        var set: String
        /// In nft's words, protocols by number (their names need /etc/protocols): `6 . 80`.
        var key: String
        var value: String?
        /// `BRIDGE` or `BRIDGE POD`.
        var owner: String

        var addition: String {
            "add element \(table) \(set) { \(key) comment \"\(owner)\"\(value.map { " : \($0)" } ?? "") }\n"
        }

        var deletion: String { "delete element \(table) \(set) { \(key) }\n" }
    }

    /// The elements that lead the host's ports to a pod.
    ///
    /// - Parameter addresses: of the pod; one per family counts.
    static func forwards(
        _ mappings: [PortMapping], to addresses: [IPAddress], bridge: String, podID: String
    ) -> [Element] {
        mappings.filter { $0.hostPort != 0 }.flatMap { mapping in
            addresses.compactMap { address -> Element? in
                let family = address.family.digit
                let target = "\(address) . \(mapping.containerPort)"
                let port = "\(mapping.protocol.number) . \(mapping.hostPort)"
                let owner = owner(bridge: bridge, podID: podID)
                guard let hostIP = mapping.hostIP, !hostIP.isUnspecified else {
                    // 0.0.0.0 asks for IPv4 alone, as in a bind.
                    if mapping.hostIP?.family == .v4, address.family == .v6 { return nil }
                    return Element(set: "ports\(family)", key: port, value: target, owner: owner)
                }
                guard hostIP.family == address.family else { return nil }
                return Element(set: "ports\(family)_at", key: "\(hostIP) . \(port)", value: target, owner: owner)
            }
        }
    }

    /// The comment of a pod's elements; the kernel bounds comments at 128 bytes.
    static func owner(bridge: String, podID: String) -> String { "\(bridge) \(podKey(podID))" }

    /// `podID` where it is short and plain, else a number made from it.
    static func podKey(_ podID: String) -> String {
        let plain = podID.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") }
        return plain && podID.utf8.count <= 64 ? podID : "hash-" + String(StableHash.of(podID), radix: 16)
    }
}

extension PortMapping.TransportProtocol {
    /// The number in the IP header.
    var number: Int {
        switch self {
        case .tcp: 6
        case .udp: 17
        case .sctp: 132
        }
    }
}

extension IPAddress.Family {
    /// `4` or `6`.
    var digit: String { self == .v4 ? "4" : "6" }
}

/// FNV-1a, 64 bits: the same in every process, for names made from IDs.
enum StableHash {
    static func of(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
