import Core
import TestSupport
import Testing

struct PermitsTests {
    @Test("never more at once than there are permits, and all come to their turn")
    func bound() async throws {
        let permits = Permits(3)
        let running = Crowd()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await permits.withPermit {
                        running.enter()
                        try await Task.sleep(for: .milliseconds(2))
                        running.leave()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(running.most == 3)
        #expect(running.all == 50)
    }

    @Test("who is cancelled while waiting leaves the queue, and what fails gives its permit back")
    func cancelled() async throws {
        struct Failure: Error {}
        let permits = Permits(1)
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let holder = Task { try await permits.withPermit { for await _ in gate {} } }
        try await Task.sleep(for: .milliseconds(20))
        let waiter = Task { try await permits.withPermit {} }
        try await Task.sleep(for: .milliseconds(20))
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        open.finish()
        try await holder.value
        await #expect(throws: Failure.self) { try await permits.withPermit { throw Failure() } }
        try await permits.withPermit {}
    }
}
