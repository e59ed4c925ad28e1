import Core
import TestSupport
import Testing

@testable import Engine

@Suite("Names of dead attempts", .serialized) struct TakeOverSerialTests {
    @Test func aPodThatCouldNotBeMadeNorUndoneGivesItsNameUp() async throws {
        try await EngineFixture.with { fixture in
            fixture.network.failure.withLock { $0 = BerthError(.unavailable, "no address left") }
            fixture.network.tearDownFailure.withLock { $0 = BerthError(.internal, "the plugin hangs") }
            _ = try await #require(throws: BerthError.self) {
                try await fixture.engine.runPodSandbox(fixture.podConfig())
            }
            let dead = try #require(fixture.engine.podSandboxes().first)
            // Still hanging: the retry says so, and makes no second pod beside it.
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.runPodSandbox(fixture.podConfig())
            }
            #expect(error.description.contains(dead.id))
            fixture.network.failure.withLock { $0 = nil }
            fixture.network.tearDownFailure.withLock { $0 = nil }
            let id = try await fixture.engine.runPodSandbox(fixture.podConfig())
            #expect(fixture.engine.podSandboxes().map(\.id) == [id])
        }
    }

    @Test func aContainerThatNeverRanIsMadeAnewWithTheLatestConfiguration() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let first = try await fixture.engine.createContainer(fixture.containerConfig("exit 1"), in: pod)
            #expect(try await fixture.engine.createContainer(fixture.containerConfig("exit 1"), in: pod) == first)
            let second = try await fixture.engine.createContainer(fixture.containerConfig("sleep 100"), in: pod)
            #expect(second != first)
            #expect(fixture.engine.containers().map(\.id) == [second])
            try await fixture.engine.startContainer(second)
            // One that runs keeps its name.
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.createContainer(fixture.containerConfig("exit 1"), in: pod)
            }
            #expect(error.code == .alreadyExists)
        }
    }
}
