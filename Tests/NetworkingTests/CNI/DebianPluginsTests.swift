internal import Core
internal import LinuxKernel
@testable internal import Networking
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Debian's containernetworking-plugins through the runner, their host a namespace of the test.
@Suite(
    .enabled(if: Machine.isRoot, "needs root"),
    .enabled(if: Machine.hasPlugins, "needs the containernetworking-plugins package"))
struct DebianPluginsTests {
    @Test(arguments: [("0.3.1", true), ("0.4.0", true), ("1.0.0", true), ("1.0.0", false)])
    func aChainOfBridgeAndPortmapIsAddedCheckedAndDeleted(_ version: String, hasIPv6: Bool) async throws {
        let scratch = try ScratchDirectory("cni")
        let (host, a, b) = (try await TestNamespace(), try await TestNamespace(), try await TestNamespace())
        try scratch.file(
            "net.d/10-pods.conflist",
            """
            {"cniVersion": "\(version)", "name": "pods", "plugins": [
              {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
               "ipam": {"type": "host-local", "dataDir": "\(scratch.path)/leases", "routes": [{"dst": "0.0.0.0/0"}],
                        "ranges": [[{"subnet": "10.88.0.0/16"}]\(hasIPv6 ? #", [{"subnet": "fd00:88::/64"}]"# : "")]}},
              {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
            """)
        let network = CNINetwork(
            configDirectory: scratch.appending("net.d"), pluginDirectories: ["/usr/lib/cni"],
            cacheDirectory: scratch.appending("cache"), hostNamespace: host.path)
        #expect(await network.status().isReady)
        let first = PodNetworkRequest(
            podID: "a", networkNamespace: a.path, portMappings: [PortMapping(hostPort: 8080, containerPort: 80)])
        let second = PodNetworkRequest(podID: "b", networkNamespace: b.path)
        let result = try await network.setUp(first)
        let expected = ["10.88.0.2/16"] + (hasIPv6 ? ["fd00:88::2/64"] : [])
        #expect(result.addresses.map(\.description) == expected)
        #expect(try await network.setUp(second).addresses.first?.description == "10.88.0.3/16")
        #expect(try await a.addresses(of: "eth0") == expected)
        #expect(try await host.links().count == 3)
        try scratch.file("www/index.html", "hello\n")
        let server = try await EchoServer(in: a, port: 80, root: scratch.appending("www"))
        try await eventually("the server") { try await b.fetch("http://10.88.0.2/") == "hello" }
        #expect(try await host.fetch("http://10.88.0.1:8080/") == "hello")
        // Of `second` only: portmap's CHECK in Debian's release looks for a port's rules in tables that it did not put
        // them in.
        try await network.check(second)
        try await network.tearDown(first)
        try await network.tearDown(first)
        #expect(try await a.links().isEmpty)
        var gone = second
        gone.networkNamespace = "/nonexistent"
        try await network.tearDown(gone)
        #expect(try await host.fetch("http://10.88.0.1:8080/") == nil)
        #expect(try Files.list(scratch.appending("leases/pods")).allSatisfy { $0.hasPrefix("l") })
        withExtendedLifetime(server) {}
    }

    /// Kernels often have no SCTP to try it with; the rules are the same as for TCP.
    @Test func hostPortsOfSCTPAreMappedLikeOthers() async throws {
        let scratch = try ScratchDirectory("cni")
        let (host, pod) = (try await TestNamespace(), try await TestNamespace())
        try scratch.file(
            "net.d/10-pods.conflist",
            """
            {"cniVersion": "1.0.0", "name": "pods", "plugins": [
              {"type": "bridge", "bridge": "cni0", "isGateway": true,
               "ipam": {"type": "host-local", "dataDir": "\(scratch.path)/leases", "ranges": [[{"subnet": "10.88.0.0/16"}]]}},
              {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
            """)
        let network = CNINetwork(
            configDirectory: scratch.appending("net.d"), pluginDirectories: ["/usr/lib/cni"],
            cacheDirectory: scratch.appending("cache"), hostNamespace: host.path)
        let request = PodNetworkRequest(
            podID: "a", networkNamespace: pod.path,
            portMappings: [
                PortMapping(hostPort: 3868, containerPort: 3869, protocol: .sctp),
                PortMapping(hostPort: 3868, containerPort: 3870),
            ])
        func rules() async throws -> [String] {
            try await Command.run("/usr/bin/nsenter", ["--net=\(host.path)", "iptables-save", "-t", "nat"])
                .split(separator: "\n").map(String.init).filter { $0.contains("DNAT --to") }
        }
        _ = try await network.setUp(request)
        let made = try await rules()
        #expect(
            made.contains { $0.contains("-p sctp") && $0.contains("3868") && $0.contains("10.88.0.2:3869") }, "\(made)")
        #expect(
            made.contains { $0.contains("-p tcp") && $0.contains("3868") && $0.contains("10.88.0.2:3870") }, "\(made)")
        try await network.tearDown(request)
        #expect(try await rules() == [])
    }

    @Test func aVersionThatPluginsDoNotSpeakIsTheirError() async throws {
        let scratch = try ScratchDirectory("cni")
        let pod = try await TestNamespace()
        try scratch.file("net.d/10.conf", #"{"cniVersion": "1.1.0", "name": "n", "type": "loopback"}"#)
        let network = CNINetwork(
            configDirectory: scratch.appending("net.d"), pluginDirectories: ["/usr/lib/cni"],
            cacheDirectory: scratch.appending("cache"))
        let error = await #expect(throws: BerthError.self) {
            try await network.setUp(PodNetworkRequest(podID: "a", networkNamespace: pod.path))
        }
        #expect(error?.code == .invalidArgument)
    }
}
