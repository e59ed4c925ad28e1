import Core
import Testing

@testable import Engine

@Suite struct ContainerEventTests {
    private func event(_ number: Int) -> ContainerEvent {
        ContainerEvent(containerID: "c\(number)", kind: .started, at: Int64(number), pod: nil, containers: [])
    }

    @Test func slowReaderGetsEverythingUpToTheBoundAndThenAnError() async throws {
        let events = ContainerEvents()
        let (slow, quick) = (events.subscribe(), events.subscribe())
        let reading = Task {
            var count = 0
            for try await _ in quick { count += 1 }
            return count
        }
        for number in 0..<ContainerEvents.bound { events.publish(event(number)) }
        try await eventually { try await Task.sleep(for: .milliseconds(1)) }
        events.publish(event(ContainerEvents.bound))
        var times: [Int64] = []
        let error = await #expect(throws: BerthError.self) { for try await event in slow { times.append(event.at) } }
        #expect(error?.code == .resourceExhausted)
        #expect(times == (0..<Int64(ContainerEvents.bound)).map { $0 })
        // Who keeps up is not cut off, and a new subscription works.
        let again = events.subscribe()
        events.publish(event(-1))
        events.finish()
        #expect(try await reading.value == ContainerEvents.bound + 2)
        var iterator = again.makeAsyncIterator()
        #expect(try await iterator.next()?.at == -1)
    }

    @Test func concurrentEventsComeToEveryReaderInOneOrder() async throws {
        let events = ContainerEvents()
        let streams = (0..<3).map { _ in events.subscribe() }
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<8 {
                group.addTask { for number in 0..<100 { events.publish(self.event(writer * 1000 + number)) } }
            }
        }
        events.finish()
        var orders: [[Int64]] = []
        for stream in streams {
            var order: [Int64] = []
            for try await event in stream { order.append(event.at) }
            orders.append(order)
        }
        #expect(orders[0].count == 800)
        #expect(orders[1] == orders[0])
        #expect(orders[2] == orders[0])
    }

    private func eventually(_ pause: () async throws -> Void) async throws {
        for _ in 0..<100 { try await pause() }
    }
}
