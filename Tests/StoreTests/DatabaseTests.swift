import Core
import Foundation
import GRDB
import Store
import SystemPackage
import TestSupport
import Testing

@Suite("Database file") struct DatabaseFileTests {
    @Test func keepsWhatWasWrittenAcrossReopening() async throws {
        let scratch = try ScratchDirectory("store")
        let path = scratch.path.appending("meta.db")
        let first = try Store.Database(path: path)
        try await first.write { try $0.put(NamespaceRecord(name: "one", labels: ["a": "b"])) }
        try first.close()

        let second = try Store.Database(path: path)
        let found = try await second.read { try $0.namespaces() }
        #expect(found == [NamespaceRecord(name: "one", labels: ["a": "b"])])
    }

    @Test func onlyRootCanReadIt() throws {
        let scratch = try ScratchDirectory("store")
        let path = scratch.path.appending("meta.db")
        let database = try Store.Database(path: path)
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path.string + suffix)
            #expect(attributes[.posixPermissions] as? Int == 0o600, "meta.db\(suffix)")
        }
        try database.close()
    }

    @Test func aTransactionThatThrowsChangesNothing() async throws {
        let scratch = try ScratchDirectory("store")
        let database = try Store.Database(path: scratch.path.appending("meta.db"))
        await #expect(throws: BerthError.self) {
            try await database.write { transaction in
                try transaction.put(NamespaceRecord(name: "half"))
                throw BerthError(.aborted, "stop")
            }
        }
        #expect(try await database.read { try $0.namespace("half") } == nil)
    }

    @Test func refusesASecondOpenerWithAdvice() throws {
        let scratch = try ScratchDirectory("store")
        let path = scratch.path.appending("meta.db")
        let first = try Store.Database(path: path)
        let error = #expect(throws: BerthError.self) { try Store.Database(path: path) }
        #expect(error?.code == .unavailable)
        #expect(error?.message == "metadata database \(path) is locked by another process")
        #expect(error?.advice?.contains("--root") == true)
        try first.close()
        _ = try Store.Database(path: path)
    }

    @Test func saysThatAFileWhichIsNoDatabaseIsDamaged() throws {
        let scratch = try ScratchDirectory("store")
        let path = scratch.path.appending("meta.db")
        try Data(repeating: 0x5a, count: 8192).write(to: URL(fileURLWithPath: path.string))
        let error = #expect(throws: BerthError.self) { try Store.Database(path: path) }
        #expect(error?.code == .dataLoss)
        #expect(error?.advice?.contains("\(path)-wal") == true)
    }

    @Test func saysThatATornPageIsDamage() async throws {
        let scratch = try ScratchDirectory("store")
        let path = scratch.path.appending("meta.db")
        let database = try Store.Database(path: path)
        try await database.write { transaction in
            for number in 0..<500 {
                try transaction.put(
                    NamespaceRecord(name: "n\(number)", labels: ["text": String(repeating: "x", count: 200)]))
            }
        }
        try database.close()
        let queue = try DatabaseQueue(path: path.string)
        _ = try await queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try queue.close()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path.string))
        // All pages after the schema's, zeroed as a lost write leaves them.
        for index in (bytes.count / 2)..<bytes.count { bytes[index] = 0 }
        try bytes.write(to: URL(fileURLWithPath: path.string))
        let error = #expect(throws: BerthError.self) { try Store.Database(path: path) }
        #expect(error?.code == .dataLoss)
    }

    @Test func refusesADatabaseOfANewerVersion() throws {
        let scratch = try ScratchDirectory("store")
        let path = scratch.path.appending("meta.db")
        try Store.Database(path: path).close()
        let queue = try DatabaseQueue(path: path.string)
        try queue.write { try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99 of the future')") }
        try queue.close()
        let error = #expect(throws: BerthError.self) { try Store.Database(path: path) }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.message.contains("newer version") == true)
    }

    @Test func saysWhatIsWrongWithADirectoryThatIsNotThere() throws {
        let scratch = try ScratchDirectory("store")
        let path = scratch.path.appending("missing").appending("meta.db")
        let error = #expect(throws: BerthError.self) { try Store.Database(path: path) }
        #expect(error?.code == .permissionDenied)
        #expect(error?.description.contains("its directory must exist") == true)
    }

    @Test func aKilledWriterLeavesTheLastCommit() async throws {
        let scratch = try ScratchDirectory("store")
        let database = try Store.Database(path: scratch.path.appending("meta.db"))
        try await database.write(durability: .processDeath) { try $0.put(NamespaceRecord(name: "kept")) }
        // What a killed process leaves: the files as they are, with the log not yet written back.
        let copy = scratch.path.appending("copy.db")
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(
                atPath: scratch.path.appending("meta.db").string + suffix, toPath: copy.string + suffix)
        }
        let reopened = try Store.Database(path: copy)
        #expect(try await reopened.read { try $0.namespace("kept") } != nil)
    }
}
