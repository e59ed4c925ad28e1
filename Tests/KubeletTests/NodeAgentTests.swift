internal import CRIAPI
internal import Core
internal import Foundation
internal import Glibc
internal import SystemPackage
internal import Testing

@testable internal import Kubelet

/// An agent over a fake runtime and a manifest directory of its own.
private final class Stage {
    let scratch: ScratchFolder
    let runtime: FakeRuntime
    private(set) var agent: NodeAgent
    private var task: Task<Void, any Error>?

    init(runtime: FakeRuntime = FakeRuntime()) throws {
        scratch = try ScratchFolder()
        self.runtime = runtime
        agent = Stage.agent(scratch.path, runtime)
        try HostFiles.makeDirectories(scratch.path.appending("manifests"))
    }

    deinit { task?.cancel() }

    private static func agent(_ path: FilePath, _ runtime: FakeRuntime) -> NodeAgent {
        var configuration = KubeletConfiguration(
            manifests: path.appending("manifests"), nodeName: "node", nodeIP: "127.0.0.1")
        configuration.root = path.appending("root")
        configuration.logs = path.appending("logs")
        configuration.relistPeriod = 0.05
        configuration.backOffBase = 0.05
        configuration.backOffLimit = 0.2
        return NodeAgent(configuration: configuration, runtime: runtime, log: silentLogger())
    }

    func start() {
        let agent = agent
        task = Task { try await agent.run() }
    }

    /// Ends the agent as a SIGTERM does, and makes a new one.
    func restart() async {
        task?.cancel()
        _ = await task?.result
        agent = Stage.agent(scratch.path, runtime)
        start()
    }

    func write(_ name: String, _ text: String) throws {
        try text.write(
            toFile: scratch.path.appending("manifests").appending(name).string, atomically: true, encoding: .utf8)
    }

    func remove(_ name: String) { unlink(scratch.path.appending("manifests").appending(name).string) }

    func status(_ name: String = "demo") async -> PodStatus? {
        await agent.list().first { $0.metadata.name == name }?.status
    }

    func isReady(_ name: String = "demo") async -> Bool {
        await status(name)?.conditions.first { $0.type == .ready }?.status == "True"
    }
}

@Suite("The node agent", .timeLimit(.minutes(2)))
struct NodeAgentTests {
    @Test("runs a pod, restarts its containers, and removes it with its file") func life() async throws {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod(["web", "side"], initContainers: ["setup"]))
        await stage.runtime.end(atOnce: "setup", with: 0)
        stage.start()
        try await eventually { await stage.isReady() }
        #expect(
            await stage.runtime.calls == [
                "runSandbox demo/0", "create setup/0", "start setup/0", "create web/0", "start web/0", "create side/0",
                "start side/0",
            ])
        #expect(await stage.status()?.phase == .running)
        #expect(await stage.status()?.podIP == "127.0.0.1")
        let pod = try #require(await stage.agent.list().first)
        #expect(
            FileManager.default.fileExists(atPath: stage.scratch.path.appending("root/pods").appending(pod.uid).string))

        await stage.runtime.end("web", with: 3)
        try await eventually { await stage.status()?.containerStatuses?.first?.restartCount == 1 }
        try await eventually { await stage.isReady() }
        let web = await stage.status()?.containerStatuses?.first
        #expect(web?.lastState.terminated?.exitCode == 3)
        #expect(await stage.agent.trouble() == nil)

        await stage.runtime.clearCalls()
        stage.remove("demo.yaml")
        try await eventually { await stage.agent.list().isEmpty }
        #expect(await stage.runtime.sandboxes.isEmpty)
        #expect(await stage.runtime.containers.isEmpty)
        #expect(await stage.runtime.calls.filter { $0.hasPrefix("stop ") }.count == 2)
        #expect(
            !FileManager.default.fileExists(atPath: stage.scratch.path.appending("root/pods").appending(pod.uid).string)
        )
    }

    @Test("backs off from a container that keeps failing, and says so") func crashLoop() async throws {
        let stage = try Stage()
        await stage.runtime.end(atOnce: "web", with: 1)
        try stage.write("demo.yaml", simplePod())
        stage.start()
        try await eventually {
            await stage.status()?.containerStatuses?.first?.state.waiting?.reason == "CrashLoopBackOff"
        }
        try await eventually { await (stage.status()?.containerStatuses?.first?.restartCount ?? 0) >= 4 }
        let containers = await stage.runtime.containers.count
        #expect(containers <= 2)
        await stage.runtime.end(atOnce: "web", with: nil)
        try await eventually { await stage.isReady() }
    }

    @Test("replaces the pod of a changed file, one after the other") func change() async throws {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod())
        stage.start()
        try await eventually { await stage.isReady() }
        let before = await stage.agent.list().first?.uid
        await stage.runtime.clearCalls()
        try stage.write("demo.yaml", simplePod(["other"]))
        try await eventually {
            let now = await stage.agent.list().first?.uid
            guard now != before else { return false }
            return await stage.isReady()
        }
        let calls = await stage.runtime.calls
        let removal = try #require(calls.firstIndex { $0.hasPrefix("removeSandbox") })
        let creation = try #require(calls.firstIndex { $0.hasPrefix("runSandbox") })
        #expect(removal < creation)
        #expect(await stage.runtime.sandboxes.count == 1)
    }

    @Test("keeps the pods of a file that has become broken, and does not disturb others") func broken() async throws {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod())
        try stage.write("other.yaml", simplePod().replacing("name: demo", with: "name: other"))
        try stage.write("never.yaml", "kind: [")
        stage.start()
        try await eventually { await stage.isReady() }
        try await eventually { await stage.isReady("other") }
        await stage.runtime.clearCalls()
        try stage.write("demo.yaml", "kind: Pod\nspec: {")
        try await Task.sleep(for: .milliseconds(300))
        #expect(await stage.agent.list().count == 2)
        await stage.restart()
        try await eventually { await stage.isReady("other") }
        try await Task.sleep(for: .milliseconds(200))
        #expect(await stage.runtime.calls == [])
        #expect(await stage.runtime.sandboxes.count == 2)
    }

    @Test("takes its pods over after a restart without starting anything twice") func adoption() async throws {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod(["web", "two"], initContainers: [sidecar("side")]))
        stage.start()
        try await eventually { await stage.isReady() }
        await stage.runtime.clearCalls()
        await stage.restart()
        try await eventually { await stage.isReady() }
        #expect(await stage.runtime.calls == [])
        await stage.runtime.end("web", with: 1)
        try await eventually { await stage.status()?.containerStatuses?.first?.restartCount == 1 }
    }

    @Test("removes pods whose file went away while it was down, and leaves those of others") func orphans() async throws
    {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod())
        stage.start()
        try await eventually { await stage.isReady() }
        let foreign = try await stage.runtime.runPodSandbox(
            .with {
                $0.metadata.name = "foreign"
                $0.labels = [PodLabel.podUID: "u", PodLabel.podName: "foreign", PodLabel.podNamespace: "default"]
            })
        stage.remove("demo.yaml")
        await stage.restart()
        try await eventually { await stage.runtime.sandboxes.keys.sorted() == [foreign] }
        #expect(await stage.runtime.containers.isEmpty)
    }

    @Test("brings pods back after the machine was restarted, with their restart count") func reboot() async throws {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod(["web"], initContainers: ["setup"]))
        await stage.runtime.end(atOnce: "setup", with: 0)
        stage.start()
        try await eventually { await stage.isReady() }
        await stage.runtime.crash()
        try await eventually {
            guard await stage.isReady() else { return false }
            return await stage.status()?.containerStatuses?.first?.restartCount == 1
        }
        #expect(await stage.status()?.initContainerStatuses?.first?.restartCount == 1)
        #expect(await stage.runtime.sandboxes.values.filter { $0.state == .sandboxReady }.count == 1)
    }

    @Test("ends a job, and never runs it again") func job() async throws {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod(["job"], policy: "Never", initContainers: [sidecar("side")]))
        stage.start()
        try await eventually { await stage.isReady() }
        await stage.runtime.end("job", with: 0)
        try await eventually { await stage.status()?.phase == .succeeded }
        try await eventually { await stage.runtime.sandboxes.values.allSatisfy { $0.state == .sandboxNotready } }
        await stage.runtime.clearCalls()
        await stage.restart()
        try await eventually { await stage.status()?.phase == .succeeded }
        try await Task.sleep(for: .milliseconds(200))
        #expect(await stage.runtime.calls == [])
    }

    @Test("pulls by policy, and backs off from what cannot be pulled") func images() async throws {
        let stage = try Stage()
        await stage.runtime.fail("pull", with: BerthError(.notFound, "no such image"))
        try stage.write("a.yaml", simplePod(["{name: c, image: 'new:1'}"]).replacing("demo", with: "a"))
        try stage.write(
            "b.yaml", simplePod(["{name: c, image: 'new:1', imagePullPolicy: Never}"]).replacing("demo", with: "b"))
        stage.start()
        try await eventually {
            await stage.status("a")?.containerStatuses?.first?.state.waiting?.reason == "ImagePullBackOff"
        }
        #expect(
            await stage.status("a")?.containerStatuses?.first?.state.waiting?.message?.contains("no such image") == true
        )
        #expect(await stage.status("b")?.containerStatuses?.first?.state.waiting?.reason == "ErrImageNeverPull")
        #expect(await stage.status("a")?.phase == .pending)
        await stage.runtime.fail("pull", with: nil)
        try await eventually { await stage.isReady("a") }
        try await eventually { await stage.isReady("b") }
    }

    @Test("restarts a container whose liveness probe fails") func liveness() async throws {
        let stage = try Stage()
        let probe =
            "livenessProbe: {exec: {command: [alive]}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 3}"
        try stage.write("demo.yaml", simplePod(["{name: web, image: 'busybox:local', \(probe)}"]))
        stage.start()
        try await eventually { await stage.isReady() }
        await stage.runtime.answer("alive", with: 1)
        try await eventually { await stage.runtime.calls.contains("stop web/0 3s") }
        await stage.runtime.answer("alive", with: 0)
        try await eventually { await stage.status()?.containerStatuses?.first?.restartCount ?? 0 >= 1 }
        try await eventually { await stage.isReady() }
    }

    @Test("is ready when the readiness probe says so") func readiness() async throws {
        let stage = try Stage()
        await stage.runtime.answer("ready", with: 1)
        try stage.write(
            "demo.yaml",
            simplePod([
                "{name: web, image: 'busybox:local', readinessProbe: {exec: {command: [ready]}, periodSeconds: 1}}"
            ]))
        stage.start()
        try await eventually { await stage.runtime.calls.contains("exec web/0 ready") }
        #expect(await stage.status()?.phase == .running)
        #expect(await !stage.isReady())
        await stage.runtime.answer("ready", with: 0)
        try await eventually { await stage.isReady() }
    }

    @Test("runs lifecycle hooks, and stops a container whose postStart fails") func hooks() async throws {
        let stage = try Stage()
        await stage.runtime.answer("hello", with: 1)
        let hooks = "lifecycle: {postStart: {exec: {command: [hello]}}, preStop: {exec: {command: [bye]}}}"
        try stage.write("demo.yaml", simplePod(["{name: web, image: 'busybox:local', \(hooks)}"]))
        stage.start()
        try await eventually { await stage.runtime.calls.contains { $0.hasPrefix("stop web/0") } }
        await stage.runtime.answer("hello", with: 0)
        try await eventually { await stage.isReady() }
        await stage.runtime.clearCalls()
        stage.remove("demo.yaml")
        try await eventually { await stage.agent.list().isEmpty }
        let calls = await stage.runtime.calls
        let bye = try #require(calls.firstIndex { $0.hasSuffix(" bye") })
        let stop = try #require(calls.firstIndex { $0.hasPrefix("stop web") })
        #expect(bye < stop)
    }

    @Test("removes a pod that never came up") func neverUp() async throws {
        let stage = try Stage()
        await stage.runtime.fail("runSandbox", with: BerthError(.internal, "no network"))
        try stage.write("demo.yaml", simplePod())
        stage.start()
        try await eventually { await stage.status()?.reason == "FailedCreatePodSandBox" }
        #expect(await stage.status()?.message == "no network")
        stage.remove("demo.yaml")
        try await eventually { await stage.agent.list().isEmpty }
        #expect(await stage.runtime.sandboxes.isEmpty)
    }

    @Test("waits out a runtime that does not answer") func runtimeDown() async throws {
        let stage = try Stage()
        try stage.write("demo.yaml", simplePod())
        stage.start()
        try await eventually { await stage.isReady() }
        await stage.runtime.fail("list", with: BerthError(.unavailable, "connection refused"))
        try await eventually { await stage.agent.trouble() == "the runtime does not answer" }
        #expect(await stage.agent.list().count == 1)
        await stage.runtime.fail("list", with: nil)
        try await eventually { await stage.agent.trouble() == nil }
        #expect(await stage.isReady())
    }

    @Test("runs one of two pods with the same name, and the other when the first is gone") func collision() async throws
    {
        let stage = try Stage()
        try stage.write("a.yaml", simplePod(["one"]))
        stage.start()
        try await eventually { await stage.isReady() }
        try stage.write("0.yaml", simplePod(["two"]))
        try await Task.sleep(for: .milliseconds(200))
        #expect(await stage.status()?.containerStatuses?.map(\.name) == ["one"])
        stage.remove("a.yaml")
        try await eventually { await stage.status()?.containerStatuses?.map(\.name) == ["two"] }
    }

    @Test("does not share its root directory with a second agent") func lock() async throws {
        let scratch = try ScratchFolder()
        let first = try AgentLock(scratch.path)
        let error = #expect(throws: BerthError.self) { try AgentLock(scratch.path) }
        #expect(error?.message == "another berth-kubelet runs on \(scratch.path)")
        first.release()
        try AgentLock(scratch.path).release()
    }
}
