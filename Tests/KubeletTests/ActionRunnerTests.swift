internal import Core
internal import Foundation
internal import Testing

@testable internal import Kubelet

/// The agent's own HTTP server is the server that the probes ask.
@Suite("Probe actions and the HTTP endpoints", .timeLimit(.minutes(1)))
struct ActionRunnerTests {
    private func withServer(_ body: (Int, FakeRuntime) async throws -> Void) async throws {
        let scratch = try ScratchFolder()
        try HostFiles.makeDirectories(scratch.path.appending("manifests"))
        let manifest = scratch.path.appending("manifests/demo.yaml").string
        try simplePod().write(toFile: manifest, atomically: true, encoding: .utf8)
        let runtime = FakeRuntime()
        var configuration = KubeletConfiguration(
            manifests: scratch.path.appending("manifests"), nodeName: "node", nodeIP: "127.0.0.1")
        configuration.root = scratch.path.appending("root")
        configuration.logs = scratch.path.appending("logs")
        configuration.relistPeriod = 0.05
        configuration.port = Int.random(in: 20000..<32000)
        let agent = NodeAgent(configuration: configuration, runtime: runtime, log: silentLogger())
        let tasks = [Task { try await agent.run() }, Task { try await KubeletServer(agent).run() }]
        defer { for task in tasks { task.cancel() } }
        try await eventually { await agent.list().first?.status?.phase == .running }
        try await eventually {
            try await probe("httpGet: {path: /healthz/ping, port: \(configuration.port)}", runtime) == .success
        }
        try await body(configuration.port, runtime)
    }

    private func probe(_ action: String, _ runtime: FakeRuntime) async throws -> ProbeTracker.Outcome {
        let pod = try pod(
            simplePod(["{name: c, image: i, ports: [{name: dead, containerPort: 1}], livenessProbe: {\(action)}}"]))
        let container = pod.spec.containers[0]
        let runner = ActionRunner(runtime: runtime, container: container, containerID: "c", podIP: "127.0.0.1")
        return try await runner.probe(try #require(container.livenessProbe))
    }

    @Test("by HTTP succeed from 200 to 399, and by TCP when something listens") func network() async throws {
        try await withServer { port, runtime in
            for path in ["/healthz", "/livez", "/pods", "/metrics"] {
                #expect(try await probe("httpGet: {path: \(path), port: \(port)}", runtime) == .success)
            }
            let missing = try await probe("httpGet: {path: /nope, port: \(port)}", runtime)
            #expect(missing == .failure("http://127.0.0.1:\(port)/nope answered 404"))
            let noLog = try await probe("httpGet: {path: /containerLogs/default/demo/nope, port: \(port)}", runtime)
            #expect(noLog != .success)
            #expect(try await probe("tcpSocket: {port: \(port)}", runtime) == .success)
            #expect(try await probe("tcpSocket: {port: dead}", runtime) != .success)
            #expect(try await probe("httpGet: {port: dead}", runtime) != .success)
            await runtime.fail("list", with: BerthError(.unavailable, "gone"))
            try await eventually { try await probe("httpGet: {path: /healthz, port: \(port)}", runtime) != .success }
        }
    }

    @Test("by command follow its exit code, and a timeout is a failure") func exec() async throws {
        let runtime = FakeRuntime()
        #expect(try await probe("exec: {command: [check]}", runtime) == .success)
        await runtime.answer("check", with: 2)
        #expect(try await probe("exec: {command: [check]}", runtime) == .failure("command ended with 2"))
        await runtime.fail("exec", with: BerthError(.deadlineExceeded, "timeout"))
        #expect(try await probe("exec: {command: [check]}", runtime) == .failure("command did not end within 1 s"))
        await runtime.fail("exec", with: BerthError(.unavailable, "restarting"))
        await #expect(throws: BerthError.self) { try await probe("exec: {command: [check]}", runtime) }
    }
}
