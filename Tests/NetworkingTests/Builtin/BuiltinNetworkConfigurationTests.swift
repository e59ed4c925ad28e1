internal import Core
@testable internal import Networking
internal import Testing

@Suite struct BuiltinNetworkConfigurationTests {
    private func read(_ text: String) throws -> BuiltinNetworkConfiguration {
        try BuiltinNetworkConfiguration(conflist: Array(text.utf8), source: "berth.conflist")
    }

    @Test func readsTheConfigurationOfThePlugins() throws {
        let configuration = try read(
            """
            {"cniVersion": "1.0.0", "name": "pods", "plugins": [
              {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "mtu": 1400,
               "ipam": {"type": "host-local",
                 "ranges": [[{"subnet": "10.9.0.0/24", "gateway": "10.9.0.254", "rangeStart": "10.9.0.10"}],
                            [{"subnet": "fd00:9::/64"}]],
                 "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00:9::5"}]},
               "dns": {"nameservers": ["10.9.0.254"], "search": ["cluster.local"]}},
              {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true},
              {"type": "loopback"}]}
            """)
        #expect(configuration.name == "pods")
        #expect(configuration.mtu == 1400)
        #expect(configuration.masquerade && configuration.hairpin && configuration.isGateway)
        #expect(configuration.portMappings)
        #expect(configuration.dns.servers == ["10.9.0.254"])
        let site = try configuration.sites()[0]
        #expect(site.bridge == "pods0")
        #expect(site.gateways.map(\.description) == ["10.9.0.254/24", "fd00:9::1/64"])
        #expect(configuration.routes?.count == 2)
    }

    @Test(arguments: [
        (#""promiscMode": true"#, "plugins[0].promiscMode is not known to the built-in network"),
        (#""mtu": 17"#, "plugins[0].mtu \"17\" must be 0 or 68 to 65535"),
        (#""ipMasq": "yes""#, "plugins[0].ipMasq \"yes\" must be true or false"),
        (#""bridge": "a/b""#, "plugins[0].bridge \"a/b\" is no interface name"),
    ])
    func aWrongKeyIsNamed(_ member: String, _ message: String) {
        let error = #expect(throws: BerthError.self) {
            try read(
                """
                {"name": "n", "plugins": [{"type": "bridge", \(member),
                 "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}]}
                """)
        }
        #expect(error?.message == "berth.conflist: \(message)")
    }

    @Test(arguments: [
        #"{"name": "n", "plugins": [{"type": "firewall"}]}"#,
        #"{"name": "n", "plugins": [{"type": "portmap"}]}"#,
        #"{"name": "../n", "plugins": []}"#,
        #"{"name": "n"}"#,
        #"[]"#,
        #"{"name": "n", "plugins": [{"type": "bridge", "ipam": {"type": "dhcp"}}]}"#,
        #"{"name": "n", "plugins": [{"type": "bridge", "ipam": {"type": "host-local"}}]}"#,
        #"{"name": "n", "plugins": [{"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "dataDir": "/x"}}]}"#,
        #"{"name": "n", "plugins": [{"type": "bridge", "ipam": {"type": "host-local", "ranges": [[]]}}]}"#,
    ])
    func whatTheBuiltInNetworkCannotDoIsRefused(_ text: String) {
        let error = #expect(throws: BerthError.self) { try read(text) }
        #expect(error?.code == .invalidArgument)
    }
}
