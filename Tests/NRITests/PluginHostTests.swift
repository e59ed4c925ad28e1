import Core
import LinuxKernel
import Images
import Logging
import NRIAPI
import Networking
import OCISpec
import Store
import SwiftProtobuf
import SystemPackage
import TestSupport
import Testing

@testable import Engine
@testable import NRI

@Suite struct PluginHostTests {
    private static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    private func host(_ change: (inout PluginHostConfiguration) -> Void = { _ in }) -> PluginHost {
        var configuration = PluginHostConfiguration()
        configuration.requestTimeout = .milliseconds(300)
        configuration.registrationTimeout = .milliseconds(1500)
        change(&configuration)
        return PluginHost(configuration: configuration, logger: Self.quiet)
    }

    private func connect(
        _ host: PluginHost, _ script: @escaping ScriptedPlugin.Script = { _, _ in .success(NRIEmpty()) }
    ) throws -> ScriptedPlugin {
        let (ours, theirs) = try Syscall.socketpair(.stream)
        let connection = try PluginConnection(ours)
        Task { await host.serve(connection) }
        return ScriptedPlugin(theirs, script)
    }

    private func join(
        _ host: PluginHost, _ name: String = "probe", index: String = "10",
        _ script: @escaping ScriptedPlugin.Script = { _, _ in .success(NRIEmpty()) }
    ) async throws -> ScriptedPlugin {
        let plugin = try connect(host, script)
        try plugin.register(index: index, name: name)
        try await eventually("its joining") { plugin.calls.contains("Synchronize") }
        return plugin
    }

    private let pod = PodSandbox(
        id: "pod1", config: PodSandboxConfig(metadata: PodSandboxMetadata(name: "n", uid: "u", namespace: "ns")),
        runtimeHandler: "", createdAt: 5, state: .ready, cgroup: "/g", ownsCgroup: true)

    private func container(_ id: String = "c1") -> Container {
        var config = ContainerConfig(metadata: ContainerMetadata(name: "main"), image: ImageRequest(image: "box"))
        config.labels = ["l": "1"]
        return Container(
            id: id, podID: "pod1", podMetadata: pod.config.metadata, config: config, imageID: "sha256:1",
            imageReference: "box@sha256:2", logPath: "", createdAt: 7, state: .creating, resources: LinuxResources(),
            stopSignal: 15, cgroup: "/g/c1", warnings: [])
    }

    private var spec: RuntimeSpec {
        var spec = RuntimeSpec()
        spec.process = RuntimeSpec.Process()
        spec.process?.args = ["run"]
        spec.linux = RuntimeSpec.Linux()
        return spec
    }

    /// An engine without pods, images or a network.
    private func emptyNode(_ scratch: ScratchDirectory) async throws -> Engine {
        let root = try scratch.directory("root")
        let database = try Store.Database(path: root.appending("meta.db"))
        var configuration = EngineConfiguration(root: root, state: scratch.appending("run"))
        configuration.launcher = "/bin/true"
        return try await Engine(
            configuration: configuration, database: database,
            images: ImageService(root: root, database: database, registry: RegistryClient()), network: NoNetwork(),
            logger: Self.quiet)
    }

    @Test func aPluginIsConfiguredAndHearsOnlyWhatItWants() async throws {
        let host = host()
        let plugin = try await join(host) { method, _ in
            guard method == "Configure" else { return .success(NRIEmpty()) }
            let events = [NRIEvent.runPodSandbox, .createContainer]
            return .success(
                NRIConfigureResponse.with { $0.events = events.reduce(0) { $0 | 1 << Int32($1.rawValue - 1) } })
        }
        let configured = try plugin.request("Configure", as: NRIConfigureRequest.self)
        #expect(configured.runtimeName == "berth")
        #expect(configured.requestTimeout == 300)
        try await host.runPodSandbox(pod)
        await host.podSandboxStopped(pod)
        let adjustment = try await host.createContainer(container(), spec: spec, in: pod)
        #expect(adjustment.spec == spec)
        try await host.startContainer(container(), in: pod)
        #expect(
            plugin.calls.filter { !$0.hasPrefix("answer") } == [
                "Configure", "Synchronize", "RunPodSandbox", "CreateContainer",
            ])
        let told = try plugin.request("CreateContainer", as: NRIContainerRequest.self)
        #expect(told.pod.uid == "u")
        #expect(told.pod.linux.cgroupsPath == "/g")
        #expect(told.container.name == "main")
        #expect(told.container.args == ["run"])
        #expect(told.container.labels == ["l": "1"])
        #expect(told.container.image.digest == "sha256:2")
        #expect(told.container.createdAt == 7)
    }

    @Test func pluginsAreAskedInTheOrderOfTheirIndicesAndSeeWhatWasChanged() async throws {
        let host = host()
        let script: @Sendable (String) -> ScriptedPlugin.Script = { name in
            { method, payload in
                guard method == "CreateContainer" else { return .success(NRIEmpty()) }
                let seen = (try? NRIContainerRequest(serializedBytes: payload))?.container.args ?? []
                return .success(
                    NRICreateContainerResponse.with { $0.adjust.args = [""] + seen + [name] })
            }
        }
        let late = try await join(host, "late", index: "90", script("late"))
        let early = try await join(host, "early", index: "05", script("early"))
        let adjustment = try await host.createContainer(container(), spec: spec, in: pod)
        #expect(adjustment.spec.process?.args == ["run", "early", "late"])
        withExtendedLifetime((late, early)) {}
    }

    @Test func aRefusalFailsTheStepAndASilentPluginIsDropped() async throws {
        let host = host()
        let refusing = try await join(host, "no") { method, _ in
            method == "RunPodSandbox" ? .failure(.of(.internal, "not on this node")) : .success(NRIEmpty())
        }
        let error = try await #require(throws: BerthError.self) { try await host.runPodSandbox(pod) }
        #expect("\(error)" == "plugin 10-no refused RunPodSandbox: not on this node")
        #expect(!refusing.isClosed)
        refusing.close()
        try await eventually("its end") { host.plugins().isEmpty }

        let silent = try await join(host, "mute") { method, _ in
            if method == "StartContainer" { try? await Task.sleep(for: .seconds(1)) }
            return .success(NRIEmpty())
        }
        try await host.startContainer(container(), in: pod)
        #expect(host.plugins().isEmpty)
        try await eventually("its connection's end") { silent.isClosed }
    }

    /// Before and after the limits of a pod change; the first can be refused, and then there is no second.
    @Test func changesOfAPodsLimitsAreToldBeforeAndAfter() async throws {
        let host = host()
        let plugin = try await join(host) { method, payload in
            guard method == "UpdatePodSandbox",
                let wanted = try? NRIUpdatePodSandboxRequest(serializedBytes: payload),
                wanted.linuxResources.memory.limit.value > 1 << 30
            else { return .success(NRIEmpty()) }
            return .failure(.of(.invalidArgument, "too much"))
        }
        var resources = LinuxResources()
        resources.memoryLimit = 1 << 20
        var overhead = LinuxResources()
        overhead.cpuShares = 64
        try await host.updatePodSandbox(pod, overhead: overhead, resources: resources)
        var updated = pod
        updated.resources = resources
        updated.overhead = overhead
        await host.podSandboxUpdated(updated)
        let before = try plugin.request("UpdatePodSandbox", as: NRIUpdatePodSandboxRequest.self)
        #expect(before.pod.uid == "u")
        #expect(before.linuxResources.memory.limit.value == 1 << 20)
        #expect(before.overheadLinuxResources.cpu.shares.value == 64)
        let after = try plugin.request("PostUpdatePodSandbox", as: NRIPodSandboxRequest.self)
        #expect(after.pod.linux.podResources.memory.limit.value == 1 << 20)
        #expect(after.pod.linux.podOverhead.cpu.shares.value == 64)
        resources.memoryLimit = 1 << 40
        let excessive = resources
        let error = await #expect(throws: BerthError.self) {
            try await host.updatePodSandbox(pod, overhead: nil, resources: excessive)
        }
        #expect(error?.message.contains("too much") == true)
    }

    @Test func olderPluginsAreToldByStateChange() async throws {
        let host = host()
        let old = try await join(host) { method, _ in
            switch method {
            case "Configure", "Synchronize", "StateChange", "StopContainer": .success(NRIEmpty())
            default: .failure(.of(.unimplemented, "unknown method"))
            }
        }
        try await host.runPodSandbox(pod)
        let told = try old.request("StateChange", as: NRIStateChangeEvent.self)
        #expect(told.event == .runPodSandbox)
        #expect(told.pod.id == "pod1")
        try await host.runPodSandbox(pod)
        #expect(old.calls.filter { $0 == "RunPodSandbox" }.count == 1)
        await host.containerStopped(container(), in: pod)
        #expect(old.calls.last == "StopContainer")
    }

    @Test func whatIsBeingMadeIsToldToWhoComesMeanwhile() async throws {
        let host = host()
        let first = try await join(host, "first", index: "10") { method, _ in
            if method == "CreateContainer" { try? await Task.sleep(for: .milliseconds(200)) }
            return .success(NRIEmpty())
        }
        try await host.runPodSandbox(pod)
        async let made = host.createContainer(container(), spec: spec, in: pod)
        try await eventually("the call") { first.calls.contains("CreateContainer") }
        let second = try await join(host, "second", index: "20")
        let synchronized = try second.request("Synchronize", as: NRISynchronizeRequest.self)
        #expect(synchronized.pods.map(\.id) == ["pod1"])
        #expect(synchronized.containers.map(\.id) == ["c1"])
        _ = try await made
        await host.containerCreated(container(), in: pod)
        host.podSandboxReady(pod)
        #expect(!second.calls.contains("CreateContainer"))

        // One that is made while a plugin learns what there is waits for it.
        let slow = try connect(host) { method, _ in
            if method == "Synchronize" { try? await Task.sleep(for: .milliseconds(400)) }
            return .success(NRIEmpty())
        }
        try slow.register(index: "30", name: "slow")
        try await eventually("its synchronization") { slow.calls.contains("Synchronize") }
        _ = try await host.createContainer(container("c2"), spec: spec, in: pod)
        let calls = slow.calls.filter { !$0.hasPrefix("answer") }
        #expect(calls == ["Configure", "Synchronize", "CreateContainer", "ValidateContainerAdjustment"])
        #expect(try slow.request("CreateContainer", as: NRIContainerRequest.self).container.id == "c2")
    }

    @Test func validatorsMayReject() async throws {
        let host = host()
        let setter = try await join(host, "set", index: "10") { method, _ in
            method == "CreateContainer"
                ? .success(NRICreateContainerResponse.with { $0.adjust.env = [.pair("X", "1")] }) : .success(NRIEmpty())
        }
        let judge = try await join(host, "judge", index: "20") { method, payload in
            guard method == "ValidateContainerAdjustment",
                let request = try? NRIValidateContainerAdjustmentRequest(serializedBytes: payload)
            else { return .success(NRIEmpty()) }
            let owner = request.owners.owners["c1"]?.compound[Int32(NRIField.env.rawValue)]?.owners["X"] ?? ""
            return .success(
                NRIValidateContainerAdjustmentResponse.with {
                    $0.reject = true
                    $0.reason = "\(owner) set \(request.adjust.env.first?.key ?? "")"
                })
        }
        let error = try await #require(throws: BerthError.self) {
            _ = try await host.createContainer(container(), spec: spec, in: pod)
        }
        #expect("\(error)" == "plugin 20-judge rejects the adjustments of container \"c1\": 10-set set X")
        withExtendedLifetime((setter, judge)) {}
    }

    @Test func whoDoesNotRegisterOrBreaksTheProtocolIsLetGo() async throws {
        let host = host { $0.registrationTimeout = .milliseconds(200) }
        let quiet = try connect(host)
        let nameless = try connect(host)
        try nameless.register(index: "1", name: "x/y")
        let broken = try connect(host)
        try broken.send([0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF])
        for plugin in [quiet, nameless, broken] { try await eventually("its end") { plugin.isClosed } }
        #expect(host.plugins().isEmpty)
    }

    @Test func callsOfAPluginAreAnsweredInTheirBound() async throws {
        let host = host()
        let plugin = try await join(host)
        try plugin.call("Nonsense", NRIEmpty(), stream: 3)
        try await eventually("the answer") { plugin.calls.contains { $0.hasPrefix("answer 3: 12") } }
        // There is no such container.
        let update = NRIContainerUpdate.with {
            $0.containerID = "none"
            $0.linux.resources.cpu.shares.value = 5
            $0.linux.resources.blockioClass.value = "x"
        }
        try plugin.call("UpdateContainers", NRIUpdateContainersRequest.with { $0.update = [update] }, stream: 5)
        try await eventually("the answer") { plugin.calls.contains { $0.hasPrefix("answer 5: 0") } }
        #expect(try plugin.request("answer 5", as: NRIUpdateContainersResponse.self).failed == [update])
    }

    @Test func programsOfTheDirectoryAreStartedWithTheirConfiguration() async throws {
        let scratch = try ScratchDirectory("nri")
        let program = try Files.read(
            FilePath(#filePath).removingLastComponent().appending("plugin.py"), limit: 1 << 16)
        let log = scratch.appending("log")
        let text = String(decoding: program, as: UTF8.self).replacing("@LOG@", with: log.string)
        try scratch.file("plugins/42-started", text, mode: 0o755)
        try scratch.file("plugins/43-ends", "#!/bin/sh\nexit 3\n", mode: 0o755)
        try scratch.file("plugins/README", "no program")
        try scratch.file("conf/started.conf", "colour = blue")
        let host = host {
            $0.pluginDirectory = scratch.appending("plugins")
            $0.configurationDirectory = scratch.appending("conf")
            $0.registrationTimeout = .seconds(5)
            $0.requestTimeout = .seconds(5)
        }
        let root = try ScratchDirectory("nri-root")
        let engine = try await emptyNode(root)
        try await host.start(engine)
        #expect(host.plugins().map { "\($0.name)" } == ["42-started"])
        try await host.runPodSandbox(pod)
        let running = Task { try await host.run() }
        running.cancel()
        try await running.value
        let lines = try Files.readText(log).split(separator: "\n").map(String.init)
        #expect(lines == ["started 42 colour = blue", "Configure", "Synchronize", "RunPodSandbox", "Shutdown"])
        try await engine.abandon()
    }
}

private struct NoNetwork: PodNetwork {
    func status() async -> NetworkStatus { NetworkStatus(isReady: true, provider: "none") }
    func setUp(_ request: PodNetworkRequest) async throws -> PodNetworkResult { PodNetworkResult(addresses: []) }
    func tearDown(_ request: PodNetworkRequest) async throws {}
    func check(_ request: PodNetworkRequest) async throws {}
    func collectGarbage(keeping: Set<String>) async throws {}
}
