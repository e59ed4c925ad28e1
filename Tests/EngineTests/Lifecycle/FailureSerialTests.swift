import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Failures leave nothing", .serialized) struct FailureSerialTests {
    @Test func aPodWhoseNetworkFails() async throws {
        try await EngineFixture.with { fixture in
            let before = try fixture.snapshot()
            fixture.network.failure.withLock { $0 = BerthError(.unavailable, "no address left") }
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.runPodSandbox(fixture.podConfig { $0.security.namespaces.pid = .pod })
            }
            #expect(error.code == .unavailable)
            #expect(error.message == "no address left")
            let leftovers = try fixture.leftovers(since: before)
            #expect(leftovers == [])
            #expect(try await fixture.database.pods().isEmpty)
            // The name is free: the kubelet's retry succeeds.
            fixture.network.failure.withLock { $0 = nil }
            _ = try await fixture.engine.runPodSandbox(fixture.podConfig { $0.security.namespaces.pid = .pod })
        }
    }

    @Test func aPodThatCannotBeUndoneStaysVisibleUntilItCan() async throws {
        try await EngineFixture.with { fixture in
            let before = try fixture.snapshot()
            fixture.network.failure.withLock { $0 = BerthError(.unavailable, "no address left") }
            fixture.network.tearDownFailure.withLock { $0 = BerthError(.internal, "the plugin hangs") }
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.runPodSandbox(fixture.podConfig())
            }
            #expect(error.message.contains("no address left"))
            #expect(error.message.contains("the plugin hangs"))
            let pod = try #require(fixture.engine.podSandboxes().first)
            #expect(!pod.state.isReady)
            await #expect(throws: BerthError.self) { try await fixture.engine.removePodSandbox(pod.id) }
            fixture.network.tearDownFailure.withLock { $0 = nil }
            try await fixture.engine.removePodSandbox(pod.id)
            #expect(fixture.engine.podSandboxes().isEmpty)
            let leftovers = try fixture.leftovers(since: before)
            #expect(leftovers == [])
        }
    }

    @Test(arguments: ["image", "user", "device", "profile"])
    func aContainerWithABad(part: String) async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let before = try fixture.snapshot()
            let config = fixture.containerConfig("true") {
                switch part {
                case "image": $0.image = ImageRequest(image: "docker.io/library/absent:1")
                case "user": $0.security.runAsUsername = "stranger"
                case "device":
                    $0.devices = [ContainerDevice(containerPath: "/dev/x", hostPath: "/dev/absent", permissions: "r")]
                default: $0.security.seccomp = .localhost("/no/such/profile.json")
                }
            }
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.createContainer(config, in: pod)
            }
            #expect([.invalidArgument, .notFound].contains(error.code), "\(error)")
            let leftovers = try fixture.leftovers(since: before)
            #expect(leftovers == [])
            #expect(try await fixture.database.containers().isEmpty)
            #expect(fixture.engine.containers().isEmpty)
            _ = try await fixture.engine.createContainer(fixture.containerConfig("true"), in: pod)
        }
    }

    /// A kubelet tries to create a container for ever; one that fails to start has ended, as its pod's restart policy wants
    /// to know.
    @Test(arguments: [["/no/such/program"], ["no-such-program"], ["/etc"]])
    func aMissingProgramIsAnErrorOfTheStart(command: [String]) async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            let config = fixture.containerConfig("") { $0.command = command }
            let id = try await engine.createContainer(config, in: pod)
            #expect(try engine.container(id).state == .created)
            let error = try await #require(throws: BerthError.self) { try await engine.startContainer(id) }
            #expect("\(error)".contains("exec \(command[0])"), "\(error)")
            let exit = try #require(try engine.container(id).state.exit)
            #expect(exit.code == 128)
            #expect(exit.reason == "StartError")
            #expect(exit.message.contains(command[0]))
            try await engine.stopContainer(id, grace: .seconds(10))
            try await engine.removeContainer(id)
            _ = try await fixture.start("true", in: pod)
        }
    }

    @Test func aKilledMonitorTakesItsContainerAlong() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("sleep 4000", in: pod)
            let container = try fixture.engine.container(id)
            try Syscall.kill(try #require(container.monitor).pid, 9)
            try await eventually("the exit") { try fixture.engine.container(id).state.exit != nil }
            #expect(try fixture.engine.container(id).state.exit?.reason == "MonitorLost")
            let process = try #require(container.process)
            try await eventually("the process to be gone") {
                !ProcessStatus.isAlive(process.pid, startTime: process.startTime)
            }
        }
    }

    @Test func aContainerInAStoppedPodIsRefused() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            try await fixture.engine.stopPodSandbox(pod)
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.createContainer(fixture.containerConfig("true"), in: pod)
            }
            #expect(error.code == .failedPrecondition)
            #expect(error.description == "pod sandbox \"\(pod)\" is not ready: stopped")
        }
    }
}
