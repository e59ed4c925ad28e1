import Core
import Testing

@Suite struct DigestTests {
    @Test func parsesAndPrints() throws {
        let text = "sha256:" + String(repeating: "0f", count: 32)
        #expect(try Digest(text).description == text)
        #expect(try Digest(algorithm: .sha256, bytes: [UInt8](repeating: 0x0f, count: 32)).description == text)
    }

    @Test(arguments: [
        "", "sha256", "sha256:", "md5:0cc175b9c0f1b6a831c399e269772661", "sha256:" + String(repeating: "F", count: 64),
        "sha256:../../etc/passwd", "sha512:" + String(repeating: "0", count: 64),
    ])
    func refusesMalformed(_ text: String) {
        #expect(throws: BerthError.self) { try Digest(text) }
    }
}

@Suite struct IdentifierTests {
    @Test func randomIsValidAndFresh() throws {
        let first = Identifier.random()
        #expect(first.utf8.count == 64)
        #expect(first != Identifier.random())
        try Identifier.validate(first)
    }

    @Test(arguments: ["", ".", "..", "a/b", "a b", "é", String(repeating: "a", count: 1025)])
    func refusesUnsafe(_ id: String) {
        #expect(throws: BerthError.self) { try Identifier.validate(id) }
    }
}

@Suite struct RollbackTests {
    @Test func undoesInReverseAndRethrows() async {
        var order: [Int] = []
        let error = await #expect(throws: BerthError.self) {
            try await withRollback { rollback in
                rollback.onFailure("undo 1") { order.append(1) }
                rollback.onFailure("undo 2") { throw BerthError(.internal, "busy") }
                rollback.onFailure("undo 3") { order.append(3) }
                throw BerthError(.notFound, "no image")
            }
        }
        #expect(order == [3, 1])
        #expect(error?.code == .notFound)
        #expect(error?.message == "no image; could not undo 2: busy")
    }

    @Test func successUndoesNothing() async throws {
        let result = try await withRollback { rollback in
            rollback.onFailure("undo") { Issue.record("undone after success") }
            return 1
        }
        #expect(result == 1)
    }
}

@Suite struct KeyedLockTests {
    actor Journal {
        var running: [String: Int] = [:]
        var mostAtOnce: [String: Int] = [:]
        func enter(_ key: String) {
            running[key, default: 0] += 1
            mostAtOnce[key] = max(mostAtOnce[key] ?? 0, running[key] ?? 0)
        }
        func leave(_ key: String) { running[key, default: 0] -= 1 }
    }

    @Test func oneAtATimePerKey() async throws {
        let lock = KeyedLock<String>()
        let journal = Journal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<64 {
                let key = index % 2 == 0 ? "a" : "b"
                group.addTask {
                    try await lock.withLock(key) {
                        await journal.enter(key)
                        await Task.yield()
                        await journal.leave(key)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(await journal.mostAtOnce == ["a": 1, "b": 1])
    }

    @Test func cancelledWaiterLeavesTheQueue() async throws {
        let lock = KeyedLock<Int>()
        try await lock.withLock(1) {
            let waiter = Task { try await lock.withLock(1) { Issue.record("entered a held lock") } }
            waiter.cancel()
            await #expect(throws: CancellationError.self) { try await waiter.value }
        }
        try await lock.withLock(1) {}
    }
}
