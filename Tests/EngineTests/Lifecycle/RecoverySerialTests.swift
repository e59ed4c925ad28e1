import Core
import LinuxKernel
import Store
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Recovery", .serialized) struct RecoverySerialTests {
    @Test func aNewEngineFindsEverythingAsItIs() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let runs = try await fixture.start("while :; do sleep 0.05; done", name: "runs", in: pod)
            let ends = try await fixture.start("sleep 0.3; exit 9", name: "ends", in: pod)
            let waits = try await fixture.engine.createContainer(
                fixture.containerConfig("exit 4", name: "waits"), in: pod)
            let before = try fixture.engine.container(runs)

            try await fixture.engine.abandon()
            try await Task.sleep(for: .milliseconds(600))
            try await fixture.restart()

            #expect(try fixture.engine.podSandbox(pod).state == .ready)
            #expect(try fixture.engine.podSandbox(pod).addresses == ["10.99.0.7"])
            #expect(try fixture.engine.container(runs).state == before.state)
            #expect(try fixture.engine.container(runs).process == before.process)
            #expect(try fixture.engine.container(ends).state.exit?.code == 9)
            #expect(try fixture.engine.container(waits).state == .created)
            #expect(try await fixture.engine.execSync(["true"], in: runs).exitCode == 0)
            try await fixture.engine.startContainer(waits)
            try await eventually("the exit") { try fixture.engine.container(waits).state.exit?.code == 4 }
            try await fixture.engine.stopContainer(runs, grace: .zero)
            #expect(try fixture.engine.container(runs).state.exit?.code == 137)
        }
    }

    @Test func aRebootMakesPodsNotReadyAndContainersExited() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("while :; do sleep 0.05; done", in: pod)
            // The processes of a host that is gone.
            let container = try fixture.engine.container(id)
            try await fixture.engine.abandon()
            for process in [container.monitor, container.process] { try? Syscall.kill(try #require(process).pid, 9) }
            try await fixture.restart(reboot: true)
            #expect(try !fixture.engine.podSandbox(pod).state.isReady)
            #expect(try fixture.engine.container(id).state.exit?.reason == "HostRebooted")
            #expect(fixture.network.connected.withLock { $0.isEmpty })
            try await fixture.engine.removePodSandbox(pod)
            #expect(fixture.engine.podSandboxes().isEmpty)
        }
    }

    @Test func whatAKilledDaemonHadHalfMadeIsRemoved() async throws {
        try await EngineFixture.with { fixture in
            let before = try fixture.snapshot()
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.engine.createContainer(fixture.containerConfig("sleep 100"), in: pod)
            // As the records are while a call works.
            for record in try await fixture.database.containers() where record.id == id {
                var stored = try Records.container(from: record)
                stored.state = .creating
                try await fixture.database.put(Records.record(of: stored))
            }
            for record in try await fixture.database.pods() {
                var stored = try Records.pod(from: record)
                stored.state = .creating
                try await fixture.database.put(Records.record(of: stored))
            }
            try await fixture.restart()
            #expect(fixture.engine.podSandboxes().isEmpty)
            #expect(fixture.engine.containers().isEmpty)
            #expect(try await fixture.database.pods().isEmpty)
            #expect(try await fixture.database.containers().isEmpty)
            let leftovers = try fixture.leftovers(since: before)
            #expect(leftovers == [])
        }
    }

    @Test func twoEnginesOnOneStateDirectoryAreRefused() async throws {
        try await EngineFixture.with { fixture in
            let other = try ScratchDirectory("engine")
            let database = try Store.Database(path: other.appending("meta.db"))
            var configuration = EngineConfiguration(root: other.path, state: fixture.scratch.appending("run"))
            configuration.launcher = EngineFixture.launcher
            let error = try await #require(throws: BerthError.self) {
                _ = try await Engine(
                    configuration: configuration, database: database, images: fixture.engine.images,
                    network: RecordingNetwork(), logger: .init(label: "test"))
            }
            #expect(error.code == .failedPrecondition)
            try database.close()
        }
    }
}
