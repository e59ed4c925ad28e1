import Core
import Foundation
import Testing

struct PauseTests {
    @Test func aPauseEndsAfterItsTime() async throws {
        let start = ContinuousClock.now
        try await Pause.wait(for: .milliseconds(30))
        #expect(ContinuousClock.now - start >= .milliseconds(30))
        try await Pause.wait(for: .zero)
        try await Pause.wait(for: .seconds(-1))
    }

    @Test func cancellationEndsItAtOnce() async throws {
        let running = Task { try await Pause.wait(for: .seconds(Int64.max)) }
        try await Task.sleep(for: .milliseconds(20))
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
        let late = Task {
            while !Task.isCancelled { await Task.yield() }
            try await Pause.wait(for: .seconds(3600))
        }
        late.cancel()
        await #expect(throws: CancellationError.self) { try await late.value }
    }

    /// 50,000 of `Task.sleep` would hold 75 MB for an hour. Other tests run meanwhile.
    @Test func aCancelledPauseHoldsNoMemory() async throws {
        func limited() async {
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await Pause.wait(for: .seconds(3600)) }
                await Task.yield()
                group.cancelAll()
            }
        }
        for _ in 0..<1000 { await limited() }
        let before = try residentPages()
        for _ in 0..<50_000 { await limited() }
        #expect(try (residentPages() - before) * 4096 < 40 << 20)
    }

    private func residentPages() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return try #require(Int(text.split(separator: " ")[1]))
    }
}
