internal import Core
internal import LinuxKernel
@testable internal import Networking
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The runner with plugins that are shell scripts, which note each call in a file.
@Suite(.enabled(if: Machine.isRoot, "needs root")) struct CNINetworkTests {
    private let scratch: ScratchDirectory
    private let pod: TestNamespace

    init() async throws {
        scratch = try ScratchDirectory("cni")
        pod = try await TestNamespace()
    }

    private func network(timeout: Duration = .seconds(20)) -> CNINetwork {
        CNINetwork(
            configDirectory: scratch.appending("net.d"), pluginDirectories: [scratch.appending("bin")],
            cacheDirectory: scratch.appending("cache"), timeout: timeout)
    }

    private var request: PodNetworkRequest { PodNetworkRequest(podID: "p1", networkNamespace: pod.path) }

    /// - Parameter body: shell text; `$config` is the input.
    private func plugin(_ name: String, _ body: String) throws {
        try scratch.file(
            "bin/\(name)",
            """
            #!/bin/sh
            config=$(cat /dev/stdin)
            echo "\(name) $CNI_COMMAND $config" >> \(scratch.path)/calls
            \(body)
            """, mode: 0o755)
    }

    private func configure(_ version: String, _ types: String..., more: String = "") throws {
        let plugins = types.map { #"{"type": "\#($0)"}"# }.joined(separator: ",")
        try scratch.file(
            "net.d/10.conflist", #"{"cniVersion": "\#(version)", "name": "n", \#(more) "plugins": [\#(plugins)]}"#)
    }

    private func calls() -> [String] {
        ((try? Files.readText(scratch.appending("calls"))) ?? "").split(separator: "\n").map(String.init)
    }

    private var verbs: [String] { calls().map { $0.split(separator: " ").prefix(2).joined(separator: " ") } }

    private let success = """
        [ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.5/16"}]}'
        exit 0
        """

    @Test func pluginsAreChainedAndUndoneInReverseWithTheConfigurationOfTheAdd() async throws {
        try plugin("first", success)
        try plugin("second", success)
        try configure("1.0.0", "first", "second")
        #expect(try await network().setUp(request).addresses.map(\.description) == ["10.1.0.5/16"])
        #expect(verbs == ["first ADD", "second ADD"])
        #expect(!calls()[0].contains("prevResult"))
        #expect(calls()[1].contains(#""prevResult":{"#))
        // Another configuration takes the place of that one, and the daemon restarts.
        try plugin("third", success)
        try configure("1.0.0", "third")
        try await network().check(request)
        try await network().tearDown(request)
        try await network().tearDown(request)
        #expect(verbs.dropFirst(2) == ["first CHECK", "second CHECK", "second DEL", "first DEL"])
        #expect(calls().last?.contains(#""prevResult":{"#) == true)
        #expect(try Files.list(scratch.appending("cache")).isEmpty)
    }

    @Test func aFailedAddIsUndoneAndTold() async throws {
        try plugin("first", success)
        try plugin(
            "second",
            """
            [ "$CNI_COMMAND" = ADD ] || exit 0
            echo '{"cniVersion": "1.0.0", "code": 100, "msg": "no luck", "details": "at all"}'; exit 1
            """)
        try configure("1.0.0", "first", "second")
        let error = await #expect(throws: BerthError.self) { try await network().setUp(request) }
        #expect(error.map { "\($0)" } == "cni plugin second (ADD): no luck: at all (code 100)")
        #expect(verbs == ["first ADD", "second ADD", "second DEL", "first DEL"])
        #expect(!network().holds(podID: "p1"))
    }

    @Test(arguments: [
        ("echo oops >&2; exit 3", "cni plugin bad (ADD) exited with status 3: oops"),
        ("kill -9 $$", "cni plugin bad (ADD) was killed by signal 9"),
        ("echo '{'", "cni plugin bad (ADD): result: is no valid JSON"),
        ("exit 0", "cni plugin bad (ADD) wrote no result"),
        ("head -c 3000000 /dev/zero", "cni plugin bad wrote more than 1048576 bytes"),
        (#"echo '{"ips": [{"address": "x"}]}'"#, "cni result: ips[0].address \"x\" must be ADDRESS/LENGTH"),
    ])
    func brokenPluginsAreToldApart(_ body: String, _ message: String) async throws {
        try plugin("bad", "[ $CNI_COMMAND = ADD ] || exit 0\n\(body)")
        try configure("1.0.0", "bad")
        let error = await #expect(throws: BerthError.self) { try await network().setUp(request) }
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }

    @Test func aHungPluginIsKilledWithItsChildren() async throws {
        try plugin("hung", "[ $CNI_COMMAND = ADD ] || exit 0\nsleep 617 & echo $! > \(scratch.path)/child; wait")
        try configure("1.0.0", "hung")
        let start = ContinuousClock().now
        let error = await #expect(throws: BerthError.self) {
            try await network(timeout: .milliseconds(700)).setUp(request)
        }
        #expect(error?.code == .deadlineExceeded)
        #expect(ContinuousClock().now - start < .seconds(10))
        let child = try Files.readText(scratch.appending("child"))
        try await eventually("the plugin's child to be gone") {
            let state = (try? Files.readText(FilePath("/proc/\(child)/stat"))) ?? "gone"
            return state == "gone" || state.contains(") Z")
        }
    }

    @Test func whatAPluginLeavesRunningDoesNotHoldUpTheAnswer() async throws {
        try plugin("forks", "sleep 618 &\n\(success)")
        try configure("1.0.0", "forks")
        _ = try await network().setUp(request)
        try await network().tearDown(request)
    }

    @Test func statusTellsWhyThereIsNoNetwork() async throws {
        #expect(await network().status().message.contains("cni config uninitialized"))
        try scratch.file("net.d/10.conflist", "{")
        let broken = await network().status()
        #expect(!broken.isReady && broken.reason == "NetworkPluginNotReady")
        try configure("1.1.0", "absent")
        #expect(await network().status().message.contains("failed to find plugin \"absent\""))
        try plugin("absent", #"echo '{"code": 50, "msg": "no route yet"}'; exit 1"#)
        #expect(await network().status().message.contains("no route yet"))
        try plugin("absent", "exit 0")
        let ready = await network().status()
        #expect(ready.isReady && ready.provider == "cni n")
        #expect(verbs.last == "absent STATUS")
    }

    @Test func theNewestVersionThatAllPluginsSpeakIsNegotiated() async throws {
        let body = """
            if [ "$CNI_COMMAND" = VERSION ]; then echo '{"cniVersion": "1.1.0", "supportedVersions": [VERSIONS]}'; exit 0; fi
            \(success)
            """
        try plugin("new", body.replacing("VERSIONS", with: #""0.4.0", "1.0.0", "1.1.0""#))
        try plugin("old", body.replacing("VERSIONS", with: #""0.4.0", "1.0.0""#))
        try configure("0.4.0", "new", "old", more: #""cniVersions": ["1.0.0", "1.1.0"],"#)
        _ = try await network().setUp(request)
        #expect(verbs == ["new VERSION", "old VERSION", "new ADD", "old ADD"])
        #expect(calls()[2].contains(#""cniVersion":"1.0.0""#))
    }

    @Test func garbageCollectionDeletesAndTellsWhatIsLeft() async throws {
        try plugin("x", success)
        try configure("1.1.0", "x")
        let network = network()
        _ = try await network.setUp(request)
        _ = try await network.setUp(PodNetworkRequest(podID: "p2", networkNamespace: pod.path))
        try await network.collectGarbage(keeping: ["p2"])
        #expect(verbs.suffix(2) == ["x DEL", "x GC"])
        #expect(calls().last?.contains(#""cni.dev/valid-attachments":[{"containerID":"p2","ifname":"eth0"}]"#) == true)
        #expect(!network.holds(podID: "p1"))
    }

    @Test func leftoversOfRemovedPodsAreCollectedWhileOthersCome() async throws {
        try plugin("x", success)
        try configure("1.1.0", "x")
        let network = network()
        _ = try await network.setUp(request)
        _ = try await network.setUp(PodNetworkRequest(podID: "p2", networkNamespace: pod.path))
        // Its ADD takes its time: a GC that knows nothing of it would take its address away.
        try plugin("x", "[ $CNI_COMMAND = ADD ] && sleep 1\n\(success)")
        let coming = Task { [pod] in
            try await network.setUp(PodNetworkRequest(podID: "p3", networkNamespace: pod.path))
        }
        try await eventually("the ADD of p3") { network.holds(podID: "p3") }
        try await network.collectLeftovers { $0 != "p1" }
        _ = try await coming.value
        #expect(verbs.contains("x DEL") && !verbs.contains("x GC"), "\(verbs)")
        try await network.collectLeftovers { $0 != "p1" }
        #expect(verbs.last == "x GC")
        #expect(calls().last?.contains("p3") == true)
        #expect(!network.holds(podID: "p1"))
    }

    @Test func theSelectorStaysWithTheNetworkThatSetThePodUp() async throws {
        let host = try await TestNamespace()
        let builtin = try BuiltinNetwork(stateDirectory: scratch.appending("run"), hostNamespace: host.path)
        let selector = NetworkSelector(cni: network(), builtin: builtin)
        #expect(await selector.status().provider == "builtin berth")
        _ = try await selector.setUp(request)
        try plugin("x", success)
        try configure("1.0.0", "x")
        #expect(await selector.status().provider == "cni n")
        let inProcess = NetworkSelector(cni: network(), builtin: builtin, ignoresCNI: true)
        #expect(await inProcess.status().provider == "builtin berth")
        try await selector.check(request)
        _ = try await selector.setUp(PodNetworkRequest(podID: "p2", networkNamespace: pod.path))
        try await selector.tearDown(request)
        #expect(try await pod.links().isEmpty)
        try Files.removeTree(scratch.appending("net.d"))
        try await selector.tearDown(PodNetworkRequest(podID: "p2"))
        #expect(verbs == ["x ADD", "x DEL"])
        try scratch.file("net.d/10.conflist", "{")
        #expect(await selector.status().isReady == false)
        try await builtin.removeAll()
    }
}
