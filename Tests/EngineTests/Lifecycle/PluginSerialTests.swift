import Core
import OCISpec
import Synchronization
import TestSupport
import Testing

@testable import Engine

/// Remembers what it is told, changes what a test wants changed, and refuses what a test wants refused.
final class RecordingPlugins: LifecyclePlugins {
    let events = Mutex<[String]>([])
    let refused = Mutex<Set<String>>([])
    let adjust = Mutex<@Sendable (inout ContainerAdjustment) -> Void>({ _ in })
    let limits = Mutex<RuntimeSpec.Linux.Resources?>(nil)

    private func note(_ event: String) throws {
        events.withLock { $0.append(event) }
        if refused.withLock({ $0.contains(event) }) { throw BerthError(.failedPrecondition, "no \(event)") }
    }

    func taken() -> [String] {
        events.withLock { events in
            defer { events = [] }
            return events
        }
    }

    func runPodSandbox(_ pod: PodSandbox) async throws { try note("run pod") }
    func podSandboxReady(_ pod: PodSandbox) { try? note("pod ready") }
    func updatePodSandbox(_: PodSandbox, overhead: LinuxResources?, resources: LinuxResources?) async throws {
        try note("update pod")
    }
    func podSandboxUpdated(_ pod: PodSandbox) async { try? note("pod updated") }
    func podSandboxStopped(_ pod: PodSandbox) async {
        look(pod)
        try? note("pod stopped")
    }
    func podSandboxRemoved(_ pod: PodSandbox) async {
        look(pod)
        try? note("pod removed")
    }

    /// How many namespaces the pod has at each of the last two.
    let namespaces = Mutex<[Int]>([])
    let engine = Mutex<Engine?>(nil)
    private func look(_ pod: PodSandbox) {
        guard let engine = engine.withLock({ $0 }) else { return }
        namespaces.withLock { $0.append(engine.pinnedNamespaces(of: pod).count) }
    }
    func createContainer(_: Container, spec: RuntimeSpec, in: PodSandbox) async throws -> ContainerAdjustment {
        try note("create")
        var adjustment = ContainerAdjustment(spec: spec)
        adjust.withLock { $0 }(&adjustment)
        return adjustment
    }
    func containerCreated(_ container: Container, in pod: PodSandbox) async { try? note("created") }
    func startContainer(_ container: Container, in pod: PodSandbox) async throws { try note("start") }
    func containerStarted(_ container: Container, in pod: PodSandbox) async { try? note("started") }
    func updateContainer(
        _: Container, to limits: RuntimeSpec.Linux.Resources, in: PodSandbox
    ) async throws -> RuntimeSpec.Linux.Resources {
        try note("update")
        return self.limits.withLock { $0 } ?? limits
    }
    func containerUpdated(_ container: Container, in pod: PodSandbox) async { try? note("updated") }
    func containerStopped(_ container: Container, in pod: PodSandbox) async { try? note("stopped") }
    func containerRemoved(_ container: Container, in pod: PodSandbox) async { try? note("removed") }
}

@Suite("Plugins in the life of pods and containers", .serialized) struct PluginSerialTests {
    @Test func pluginsHearOfEachStepInItsOrderAndOnce() async throws {
        let plugins = RecordingPlugins()
        try await EngineFixture.with(plugins: plugins) { fixture in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            #expect(plugins.taken() == ["run pod", "pod ready"])
            let id = try await fixture.start("sleep 60", in: pod)
            #expect(plugins.taken() == ["create", "created", "start", "started"])
            try await engine.updateContainerResources(id, to: LinuxResources())
            try await engine.updatePodSandboxResources(pod, overhead: nil, resources: nil)
            #expect(plugins.taken() == ["update", "updated", "update pod", "pod updated"])
            try await engine.stopContainer(id, grace: .zero)
            try await engine.stopContainer(id, grace: .zero)
            try await engine.removeContainer(id)
            #expect(plugins.taken() == ["stopped", "removed"])
            // One that ends by itself.
            let short = try await fixture.start("exit 1", name: "short", in: pod)
            try await eventually("its end") { plugins.events.withLock { $0.contains("stopped") } }
            try await engine.removeContainer(short)
            #expect(plugins.taken() == ["create", "created", "start", "started", "stopped", "removed"])
            plugins.engine.withLock { $0 = engine }
            for _ in 0..<2 { try await engine.stopPodSandbox(pod) }
            try await engine.removePodSandbox(pod)
            plugins.engine.withLock { $0 = nil }
            #expect(plugins.namespaces.withLock { $0 } == [3, 0])
            #expect(plugins.taken() == ["pod stopped", "pod removed"])
        }
    }

    @Test func aRefusalLeavesNothingBehindAndTheNextAttemptSucceeds() async throws {
        let plugins = RecordingPlugins()
        try await EngineFixture.with(plugins: plugins) { fixture in
            let engine = fixture.engine
            let before = try fixture.snapshot()
            plugins.refused.withLock { $0 = ["run pod"] }
            await #expect(throws: BerthError.self) { try await engine.runPodSandbox(fixture.podConfig()) }
            #expect(plugins.taken() == ["run pod", "pod stopped", "pod removed"])
            #expect(engine.podSandboxes().isEmpty)
            #expect(fixture.network.connected.withLock { $0.isEmpty })
            #expect(try fixture.leftovers(since: before) == [])

            plugins.refused.withLock { $0 = ["create"] }
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            let config = fixture.containerConfig("sleep 60")
            let empty = try fixture.snapshot()
            await #expect(throws: BerthError.self) { try await engine.createContainer(config, in: pod) }
            #expect(plugins.taken() == ["run pod", "pod ready", "create", "stopped", "removed"])
            #expect(engine.containers().isEmpty)
            #expect(try fixture.leftovers(since: empty) == [])

            plugins.refused.withLock { $0 = ["start"] }
            let id = try await engine.createContainer(config, in: pod)
            await #expect(throws: BerthError.self) { try await engine.startContainer(id) }
            #expect(try engine.container(id).state.exit?.reason == "StartError")
            #expect(plugins.taken() == ["create", "created", "start", "stopped"])
            try await engine.removeContainer(id)
        }
    }

    @Test func whatPluginsChangeIsWhatRuns() async throws {
        let plugins = RecordingPlugins()
        try await EngineFixture.with(plugins: plugins) { fixture in
            let engine = fixture.engine
            try fixture.scratch.file("given/word", "from a plugin")
            try fixture.scratch.file(
                "cdi/v.json",
                #"{"cdiVersion": "0.6.0", "kind": "v.com/c", "devices": [{"name": "d", "containerEdits": {"env": ["CDI=yes"]}}]}"#
            )
            let source = fixture.scratch.appending("given").string
            let elsewhere = "/\(fixture.mark)/elsewhere"
            plugins.adjust.withLock {
                $0 = { adjustment in
                    adjustment.spec.process?.env?.append("ADDED=1")
                    adjustment.spec.mounts?.append(
                        .init(destination: "/given", type: "bind", source: source, options: ["rbind", "ro"]))
                    adjustment.spec.linux?.cgroupsPath = elsewhere
                    adjustment.spec.linux?.resources?.cpu = .init()
                    adjustment.spec.linux?.resources?.cpu?.shares = 512
                    adjustment.cdiDevices = ["v.com/c=d"]
                }
            }
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("echo $ADDED $CDI; cat /given/word; echo; sleep 60", in: pod)
            try await eventually("the output") { fixture.log().contains("from a plugin") }
            #expect(fixture.log().contains("1 yes"))
            #expect(try engine.container(id).cgroup == elsewhere)
            #expect(try engine.container(id).resources.cpuShares == 512)
            // Also while something else is done with it.
            var limits = RuntimeSpec.Linux.Resources()
            limits.cpu = .init()
            limits.cpu?.shares = 700
            try await engine.setLimits(of: id, to: limits)
            #expect(try engine.container(id).resources.cpuShares == 700)
            plugins.limits.withLock { $0 = limits }
            limits.cpu?.shares = 800
            plugins.limits.withLock { $0 = limits }
            var asked = LinuxResources()
            asked.cpuShares = 300
            try await engine.updateContainerResources(id, to: asked)
            #expect(try engine.container(id).resources.cpuShares == 800)
            try await engine.removeContainer(id)

            plugins.adjust.withLock { $0 = { $0.spec.linux?.namespaces?.append(.init(type: "nothing")) } }
            let error = try await #require(throws: BerthError.self) {
                _ = try await engine.createContainer(fixture.containerConfig("true", name: "bad"), in: pod)
            }
            #expect("\(error)".contains("what plugins made of container"))
        }
    }
}
