internal import Core
internal import LinuxKernel
@testable internal import Networking
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The built-in network on the real kernel, its host a namespace of the test.
@Suite(.enabled(if: Machine.isRoot, "needs root")) struct BuiltinNetworkTests {
    private let scratch: ScratchDirectory
    private let host: TestNamespace
    private let network: BuiltinNetwork

    init() async throws {
        scratch = try ScratchDirectory("network")
        host = try await TestNamespace()
        try scratch.file(
            "www/cgi-bin/who",
            "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'; echo $REMOTE_ADDR | tr -d '[]'\n", mode: 0o755)
        try scratch.file("www/index.html", "hello\n")
        network = try BuiltinNetwork(
            configuration: Self.configuration, stateDirectory: scratch.path, hostNamespace: host.path)
    }

    private static var configuration: BuiltinNetworkConfiguration {
        get throws {
            BuiltinNetworkConfiguration(
                name: "pods",
                placement: .fixed(
                    bridge: "pods0",
                    ranges: [
                        [AddressRange(subnet: try IPAddressPrefix("10.85.0.0/16"))],
                        [AddressRange(subnet: try IPAddressPrefix("fd00:85::/64"))],
                    ]))
        }
    }

    private func request(_ id: String, _ pod: TestNamespace, _ ports: PortMapping...) -> PodNetworkRequest {
        PodNetworkRequest(podID: id, networkNamespace: pod.path, portMappings: ports)
    }

    @Test func podsReachEachOtherAndTheHost() async throws {
        let (a, b) = (try await TestNamespace(), try await TestNamespace())
        let first = try await network.setUp(request("a", a))
        let second = try await network.setUp(request("b", b))
        #expect(first.addresses.map(\.description) == ["10.85.0.2/16", "fd00:85::2/64"])
        #expect(second.addresses.map(\.description) == ["10.85.0.3/16", "fd00:85::3/64"])
        #expect(
            first.routes.map { "\($0.destination) \($0.gateway?.description ?? "")" } == [
                "0.0.0.0/0 10.85.0.1", "::/0 fd00:85::1",
            ])
        #expect(first.interfaces.last?.mac.utf8.count == 17)
        #expect(try await a.addresses(of: "eth0") == ["10.85.0.2/16", "fd00:85::2/64"])
        let server = try await EchoServer(in: b, port: 80, root: scratch.appending("www"))
        try await eventually("the server") { try await a.fetch("http://10.85.0.3/") == "hello" }
        #expect(try await a.fetch("http://[fd00:85::3]/") == "hello")
        #expect(try await a.fetch("http://10.85.0.3/cgi-bin/who")?.hasSuffix("10.85.0.2") == true)
        #expect(try await host.fetch("http://10.85.0.3/") == "hello")
        #expect(try await b.fetch("http://127.0.0.1/") == "hello")
        try await network.check(request("a", a))
        withExtendedLifetime(server) {}
    }

    @Test func newPodsGetAddressesOfThePodCIDRAndTheOthersKeepTheirs() async throws {
        let automatic = try BuiltinNetwork(stateDirectory: scratch.path, hostNamespace: host.path)
        let (a, b, c) = (try await TestNamespace(), try await TestNamespace(), try await TestNamespace())
        let first = try await automatic.setUp(request("a", a))
        #expect(first.addresses.map(\.description) == ["10.85.0.2/16"])
        let cidrs = [try IPAddressPrefix("10.244.3.0/24"), try IPAddressPrefix("fd00:3::/64")]
        #expect(try await automatic.use(podCIDRs: cidrs))
        let second = try await automatic.setUp(request("b", b))
        #expect(second.addresses.map(\.description) == ["10.244.3.2/24", "fd00:3::2/64"])
        let server = try await EchoServer(in: a, port: 80, root: scratch.appending("www"))
        try await eventually("the server") { try await b.fetch("http://10.85.0.2/") == "hello" }
        // Told once, it is remembered by the next daemon, which finds both pods as they are.
        let next = try BuiltinNetwork(stateDirectory: scratch.path, hostNamespace: host.path)
        try await next.check(request("a", a))
        try await next.check(request("b", b))
        #expect(try await next.setUp(request("c", c)).addresses.first?.description == "10.244.3.3/24")
        await #expect(throws: BerthError.self) { try await next.use(podCIDRs: [IPAddressPrefix("10.1.0.0/31")]) }
        #expect(try await !network.use(podCIDRs: cidrs), "a configured subnet comes first")
        withExtendedLifetime(server) {}
        try await next.removeAll()
        #expect(try await host.links().isEmpty)
    }

    @Test func tearDownLeavesNothing() async throws {
        let pod = try await TestNamespace()
        let wish = request("a", pod, PortMapping(hostPort: 8080, containerPort: 80))
        if Machine.filterProblem == nil {
            _ = try await network.setUp(wish)
        } else {
            _ = try await network.setUp(request("a", pod))
        }
        #expect(try await host.links().count == 2)
        try await network.tearDown(wish)
        #expect(try await host.links() == ["pods0"])
        #expect(try await pod.links().isEmpty)
        #expect(try await host.elements()?.contains { $0.set.hasPrefix("ports") } != true)
        #expect(try Files.list(scratch.appending("networks/pods")).filter { $0 != "last" && $0 != "ports" }.isEmpty)
        // Twice, for a pod that never was, and with a namespace that is gone.
        try await network.tearDown(wish)
        try await network.tearDown(PodNetworkRequest(podID: "never"))
        try await network.removeAll()
        #expect(try await host.links().isEmpty)
        #expect(try await host.elements() == nil)
        #expect(!Files.exists(scratch.appending("networks")))
        try await network.removeAll()
        _ = try await network.setUp(request("again", pod))
        try await network.removeAll()
    }

    @Test func aPodWhoseNamespaceIsGoneIsTornDown() async throws {
        var pod: TestNamespace? = try await TestNamespace()
        let wish = try request("a", #require(pod))
        _ = try await network.setUp(wish)
        pod = nil
        try await network.tearDown(wish)
        #expect(try await host.links() == ["pods0"])
        #expect(try !network.holds(podID: "a"))
    }

    @Test func setUpAgainIsANewStart() async throws {
        let pod = try await TestNamespace()
        _ = try await network.setUp(request("a", pod))
        let again = try await network.setUp(request("a", pod))
        #expect(try await pod.addresses(of: "eth0") == again.addresses.map(\.description).sorted())
        #expect(try await host.links().count == 2)
    }

    @Test func aFailedSetUpLeavesNothing() async throws {
        let pod = try await TestNamespace()
        _ = await network.status()
        let before = try await host.elements()
        var wish = request("a", pod)
        wish.networkNamespace = "/nonexistent/net"
        let missing = await #expect(throws: BerthError.self) { try await network.setUp(wish) }
        #expect(missing?.code == .notFound)
        wish.networkNamespace = scratch.appending("www/index.html")
        await #expect(throws: BerthError.self) { try await network.setUp(wish) }
        // Something else has the interface's name in the pod.
        _ = try await pod.run {
            try RoutingSocket().perform(.addBridge("eth0", mtu: nil, address: [2, 0, 0, 0, 0, 1]))
        }
        await #expect(throws: BerthError.self) { try await network.setUp(request("a", pod)) }
        #expect(try await host.links() == ["pods0"])
        #expect(try await host.elements() == before)
        #expect(try !network.holds(podID: "a"))
    }

    @Test func checkNamesWhatIsMissing() async throws {
        let pod = try await TestNamespace()
        let wish = request("a", pod)
        _ = try await network.setUp(wish)
        try await network.check(wish)
        try await pod.run {
            let socket = try RoutingSocket()
            let link = try socket.link(named: "eth0")
            try socket.perform(.deleteAddress(IPAddressPrefix("10.85.0.2/16"), of: link?.index ?? 0, name: "eth0"))
        }
        let error = await #expect(throws: BerthError.self) { try await network.check(wish) }
        #expect(error?.message == "pod a: eth0 has lost its address 10.85.0.2/16")
        _ = try await pod.run { try RoutingSocket().perform(.deleteLink("eth0")) }
        let gone = await #expect(throws: BerthError.self) { try await network.check(wish) }
        #expect(gone?.message.contains("is gone from the host") == true)
    }

    @Test func aRestartedDaemonGoesOn() async throws {
        let (a, b) = (try await TestNamespace(), try await TestNamespace())
        _ = try await network.setUp(request("a", a))
        let restarted = try BuiltinNetwork(
            configuration: Self.configuration, stateDirectory: scratch.path, hostNamespace: host.path)
        #expect(try await restarted.setUp(request("b", b)).addresses.first?.description == "10.85.0.3/16")
        try await restarted.check(request("a", a))
        try await restarted.collectGarbage(keeping: ["b"])
        #expect(try await a.links().isEmpty)
        #expect(try await host.links().count == 2)
        #expect(try !restarted.holds(podID: "a"))
    }

    @Test func aSecondDaemonTakesAnotherBridge() async throws {
        let pods = [try await TestNamespace(), try await TestNamespace()]
        var networks: [BuiltinNetwork] = []
        for (number, pod) in pods.enumerated() {
            let network = try BuiltinNetwork(
                stateDirectory: scratch.directory("daemon\(number)"), hostNamespace: host.path)
            let result = try await network.setUp(request("p", pod))
            #expect(result.addresses.first?.description == "10.\(85 + number).0.2/16")
            networks.append(network)
        }
        try await networks[0].removeAll()
        #expect(try await host.links().contains("berth1"))
        try await networks[1].check(request("p", pods[1]))
        try await networks[1].removeAll()
        #expect(try await host.elements() == nil)
        #expect(try await host.links().isEmpty)
    }

    @Test func manyPodsAtOnce() async throws {
        let pods = try await withThrowingTaskGroup(of: TestNamespace.self) { group in
            for _ in 0..<20 { group.addTask { try await TestNamespace() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        // The bridge is there then, as in a daemon that has answered Status.
        _ = await network.status()
        let clock = ContinuousClock()
        for number in 0..<3 {
            let begin = clock.now
            _ = try await network.setUp(request("p\(number)", pods[number]))
            let middle = clock.now
            try await network.tearDown(request("p\(number)", pods[number]))
            print("pod set up in \(middle - begin), torn down in \(clock.now - middle)")
        }
        let start = clock.now
        let addresses = try await withThrowingTaskGroup(of: String.self) { group in
            for (number, pod) in pods.enumerated() {
                group.addTask {
                    try await network.setUp(request("p\(number)", pod)).addresses.first?.description ?? ""
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        print("20 pods connected in \(clock.now - start)")
        #expect(addresses.count == 20)
        try await network.collectGarbage(keeping: [])
        #expect(try await host.links() == ["pods0"])
    }

    @Test(.enabled(if: Machine.filterProblem == nil, "nf_tables does not work here"))
    func hostPortsLeadToPods() async throws {
        let (a, b, outside) = (try await TestNamespace(), try await TestNamespace(), try await TestNamespace())
        try await host.connect("out", "198.51.100.1/24", to: outside, "198.51.100.2/24")
        let root = scratch.appending("www")
        let mappings = [
            PortMapping(hostPort: 8080, containerPort: 80),
            PortMapping(hostPort: 8081, containerPort: 80, hostIP: try IPAddress("198.51.100.1")),
            PortMapping(hostPort: 5353, containerPort: 53, protocol: .udp),
            PortMapping(hostPort: 3868, containerPort: 3868, protocol: .sctp),
        ]
        _ = try await network.setUp(PodNetworkRequest(podID: "a", networkNamespace: a.path, portMappings: mappings))
        _ = try await network.setUp(request("b", b))
        #expect(await network.status().warnings.isEmpty)
        let servers = [
            try await EchoServer(in: a, port: 80, root: root), try await EchoServer(in: outside, port: 80, root: root),
        ]
        try await eventually("the servers") {
            let answers = [try await a.fetch("http://127.0.0.1/"), try await outside.fetch("http://127.0.0.1/")]
            return answers.allSatisfy { $0 == "hello" }
        }
        func caller(_ namespace: TestNamespace, _ url: String) async throws -> String? {
            try await namespace.fetch("http://\(url)/cgi-bin/who")?.split(separator: ":").last.map(String.init)
        }
        // From outside, with the caller's own address; then the host by its address and by 127.0.0.1; then pods, the
        // target itself among them.
        #expect(try await caller(outside, "198.51.100.1:8080") == "198.51.100.2")
        #expect(try await caller(outside, "198.51.100.1:8081") == "198.51.100.2")
        #expect(try await caller(host, "198.51.100.1:8080") != nil)
        #expect(try await caller(host, "127.0.0.1:8080") == "10.85.0.1")
        #expect(try await caller(host, "127.0.0.1:8081") == nil)
        #expect(try await caller(b, "198.51.100.1:8080") == "10.85.0.1")
        #expect(try await caller(a, "198.51.100.1:8080") == "10.85.0.1")
        // Outward, with the host's address: the outside has no route back to pods.
        #expect(try await caller(b, "198.51.100.2") == "198.51.100.1")

        let wish = PodNetworkRequest(podID: "a", networkNamespace: a.path, portMappings: mappings)
        try await network.check(wish)
        let c = try await TestNamespace()
        let taken = await #expect(throws: BerthError.self) {
            try await network.setUp(request("c", c, PortMapping(hostPort: 8080, containerPort: 1)))
        }
        #expect(taken?.message == "host port 8080/tcp is taken by pod a")
        #expect(try await c.links().isEmpty)
        // Somebody flushed the table: CHECK names a lost port, and the next status puts everything back.
        try await host.run { _ = try NFTables.run("delete table inet berth") }
        let lost = await #expect(throws: BerthError.self) { try await network.check(wish) }
        #expect(lost?.code == .failedPrecondition)
        #expect(await network.status().warnings.isEmpty)
        try await network.check(wish)
        #expect(try await caller(b, "198.51.100.2") == "198.51.100.1")
        #expect(try await caller(outside, "198.51.100.1:8080") == "198.51.100.2")
        try await network.tearDown(wish)
        #expect(try await caller(outside, "198.51.100.1:8080") == nil)
        withExtendedLifetime(servers) {}
    }
}
