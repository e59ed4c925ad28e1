internal import Core
@testable internal import Networking
internal import OCISpec
internal import Testing

@Suite struct CNIResultTests {
    private func decode(_ text: String, _ version: String = "1.0.0") throws -> PodNetworkResult {
        try CNIResult.decode(
            StrictJSON.parse(Array(text.utf8), what: "result"), version: CNIVersion(version), interface: "eth0")
    }

    @Test(arguments: ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
    func addressesOfThePodsInterfaceCount(_ version: String) throws {
        let result = try decode(
            """
            {"cniVersion": "\(version)",
             "interfaces": [{"name": "cni0", "mac": "00:11:22:33:44:55"}, {"name": "veth1"},
                            {"name": "eth0", "mac": "99:88:77:66:55:44", "mtu": 1400, "sandbox": "/run/ns"}],
             "ips": [{"version": "4", "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 2},
                     {"version": "6", "address": "fd00::5/64", "interface": 2}, {"address": "10.1.0.1/16", "interface": 0},
                     {"address": "10.7.0.1/16"}],
             "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1", "mtu": 1400, "priority": 5}],
             "dns": {"nameservers": ["10.1.0.1"], "domain": "local", "search": ["a"], "options": ["ndots:5"]}}
            """, version)
        #expect(result.addresses.map(\.description) == ["10.1.0.5/16", "fd00::5/64", "10.7.0.1/16"])
        #expect(result.interfaces[2].mtu == 1400)
        #expect(result.routes[1].gateway?.description == "fd00::1")
        #expect(result.dns.options == ["ndots:5"])
    }

    @Test func theFirstVersionsHaveOneAddressPerFamily() throws {
        let result = try decode(
            """
            {"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
             "ip6": {"ip": "fd00::5/64"}, "dns": {}}
            """, "0.2.0")
        #expect(result.addresses.map(\.description) == ["10.1.0.5/16", "fd00::5/64"])
        #expect(result.routes.first?.gateway?.description == "10.1.0.1")
    }

    @Test func nullsAreAsGoodAsMissing() throws {
        let result = try decode(#"{"cniVersion": "1.0.0", "interfaces": null, "ips": null, "routes": null, "dns": {}}"#)
        #expect(result == PodNetworkResult())
    }

    @Test(arguments: [
        "[]", #"{"ips": [{}]}"#, #"{"ips": [{"address": "10.1.0.5"}]}"#, #"{"ips": 5}"#,
        #"{"ips": [{"address": "10.1.0.5/16", "interface": 7}]}"#,
        #"{"ips": [{"address": "10.1.0.5/16", "interface": -1}]}"#,
        #"{"routes": [{"dst": "x"}]}"#, #"{"interfaces": [{"mac": "x"}]}"#, #"{"cniVersion": "x"}"#,
    ])
    func aBrokenResultIsAnError(_ text: String) {
        #expect(throws: BerthError.self) { try decode(text) }
    }

    @Test func errorsOfPluginsAreRead() throws {
        let error = try #require(
            CNIError(output: Array(#"{"cniVersion": "1.0.0", "code": 11, "msg": "busy", "details": "wait"}"#.utf8)))
        #expect("\(error)" == "busy: wait (code 11)")
        #expect(error.berthCode == .unavailable)
        #expect(CNIError(output: Array("boom".utf8)) == nil)
        #expect(CNIError(output: Array(#"{"msg": "x"}"#.utf8)) == nil)
    }
}
