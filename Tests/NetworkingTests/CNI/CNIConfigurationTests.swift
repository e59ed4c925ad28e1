internal import Core
internal import LinuxKernel
@testable internal import Networking
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct CNIConfigurationTests {
    private func read(_ text: String, single: Bool = false) throws -> CNIConfiguration {
        try CNIConfiguration(Array(text.utf8), path: "x.conflist", single: single)
    }

    @Test func aListIsRead() throws {
        let list = try read(
            """
            {"cniVersion": "1.0.0", "name": "n", "disableCheck": "true", "plugins": [
              {"type": "bridge", "capabilities": {"portMappings": true, "bandwidth": false}, "extra": {"a": [1]}}]}
            """)
        #expect(list.name == "n")
        #expect(list.disableCheck && !list.disableGC)
        #expect(list.version == .v1_0_0)
        #expect(list.plugins[0].capabilities == ["portMappings"])
    }

    @Test func aSingleConfigurationIsAListOfOne() throws {
        let list = try read(#"{"cniVersion": "0.3.1", "name": "n", "type": "macvlan"}"#, single: true)
        #expect(list.plugins.map(\.type) == ["macvlan"])
        #expect(list.version.description == "0.3.1")
        #expect(try read(#"{"name": "n", "type": "x"}"#, single: true).version == .v0_1_0)
        #expect(
            try read(#"{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "x"}]}"#, single: true).plugins.count
                == 1)
    }

    @Test func theNewestKnownVersionIsTaken() throws {
        let list = try read(
            #"{"cniVersions": ["0.4.0", "1.1.0", "9.0.0"], "cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "x"}]}"#
        )
        #expect(list.offered == [.v1_1_0, .v1_0_0, .v0_4_0])
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"name": "a/b", "plugins": [{"type": "x"}]}"#, #"{"name": "n", "plugins": []}"#,
        #"{"name": "n", "plugins": [{"type": "../x"}]}"#, #"{"name": "n", "plugins": [{"type": ""}]}"#,
        #"{"name": "n", "plugins": [{}]}"#, #"{"name": "n", "cniVersion": "2", "plugins": [{"type": "x"}]}"#,
        #"{"name": "n", "cniVersion": "7.0.0", "plugins": [{"type": "x"}]}"#,
        #"{"name": "n", "plugins": [{"type": "x", "capabilities": []}]}"#, #"{"name": "n", "name": "m"}"#,
    ])
    func aBrokenListIsRefused(_ text: String) {
        #expect(throws: BerthError.self) { try read(text) }
    }

    @Test func theFirstValidFileByNameIsTheOneAndChangesAreSeen() throws {
        let scratch = try ScratchDirectory("cni")
        let directory = CNIConfigurationDirectory(path: scratch.appending("net.d"))
        func name() -> String {
            switch directory.choice() {
            case .none: "none"
            case .invalid(let problems): "invalid \(problems.count)"
            case .found(let found, let problems): "\(found.name) \(problems.count)"
            }
        }
        #expect(name() == "none")
        try scratch.file("net.d/readme.txt", "x")
        #expect(name() == "none")
        try scratch.file("net.d/10-a.conflist", "{")
        #expect(name() == "invalid 1")
        try scratch.file("net.d/20-b.conf", #"{"cniVersion": "1.0.0", "name": "b", "type": "x"}"#)
        #expect(name() == "b 1")
        try scratch.file("net.d/05-c.json", #"{"cniVersion": "1.0.0", "name": "c", "type": "x"}"#)
        #expect(name() == "c 0")
        try scratch.file("net.d/05-c.json", #"{"cniVersion": "1.0.0", "name": "d", "type": "x"}"#)
        #expect(name() == "d 0")
        try Files.removeTree(scratch.appending("net.d"))
        #expect(name() == "none")
    }

    @Test func aCallCarriesWhatTheSpecAsksFor() throws {
        let list = try read(
            """
            {"cniVersion": "1.0.0", "name": "n", "plugins": [
              {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true, "name": "stale"}]}
            """)
        let request = PodNetworkRequest(
            podID: "p1", name: "web", namespace: "default", uid: "u-1", networkNamespace: "/run/ns",
            portMappings: [
                PortMapping(hostPort: 8080, containerPort: 80, hostIP: try IPAddress("127.0.0.1")),
                PortMapping(hostPort: 0, containerPort: 81),
            ], bandwidth: Bandwidth(ingressRate: 1))
        let attachment = try CNIAttachment(request, configuration: list, version: .v1_0_0)
        let call = try CNIInvocation(
            .add, plugin: list.plugins[0], name: "n", version: .v1_0_0, attachment: attachment,
            path: ["/opt/cni/bin", "/usr/lib/cni"], previous: .object([.init("cniVersion", .string("1.0.0"))]))
        #expect(
            call.environment == [
                "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "p1", "CNI_NETNS": "/run/ns", "CNI_IFNAME": "eth0",
                "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
                "CNI_ARGS":
                    "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=p1;K8S_POD_UID=u-1",
            ])
        let input = try StrictJSON.parse(call.input, what: "input")
        #expect(input["name"] == .string("n"))
        #expect(input["snat"] == .bool(true))
        #expect(input["capabilities"] == nil)
        #expect(input["prevResult"]?["cniVersion"] == .string("1.0.0"))
        #expect(input["runtimeConfig"]?["bandwidth"] == nil)
        #expect(input["runtimeConfig"]?["portMappings"]?[index: 0]?["hostIP"] == .string("127.0.0.1"))
        #expect(input["runtimeConfig"]?["portMappings"]?[index: 1] == nil)
        var bad = request
        bad.name = "a;CNI_X=1"
        #expect(throws: BerthError.self) { try CNIAttachment(bad, configuration: list, version: .v1_0_0) }
    }

    @Test func anAttachmentIsReadBack() throws {
        let list = try read(#"{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "x"}]}"#)
        let scratch = try ScratchDirectory("cni")
        let cache = CNIAttachmentCache(directory: scratch.appending("cache"))
        let request = PodNetworkRequest(
            podID: "p1", portMappings: [PortMapping(hostPort: 1, containerPort: 2)],
            dns: NetworkDNS(servers: ["1.1.1.1"]),
            ipRanges: [[AddressRange(subnet: try IPAddressPrefix("10.0.0.0/24"))]])
        var attachment = try CNIAttachment(request, configuration: list, version: .v1_0_0)
        attachment.result = .object([.init("ips", .array([]))])
        try cache.write(attachment)
        let back = try #require(try cache.read(podID: "p1", interface: "eth0"))
        #expect(try StrictJSON.encode(back) == StrictJSON.encode(attachment))
        #expect(back.runtimeConfig.map(\.key) == ["dns", "ipRanges", "portMappings"])
        #expect(cache.all().map(\.podID) == ["p1"])
        cache.remove(podID: "p1", interface: "eth0")
        #expect(try cache.read(podID: "p1", interface: "eth0") == nil)
        #expect(try Files.list(scratch.appending("cache")).isEmpty)
    }
}
