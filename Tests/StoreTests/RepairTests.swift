import Core
import Foundation
import GRDB
import Store
import SystemPackage
import TestSupport
import Testing

@Suite("Repair of a damaged database") struct RepairTests {
    private let scratch: ScratchDirectory
    private let path: FilePath

    init() throws {
        scratch = try ScratchDirectory("repair")
        path = scratch.path.appending("meta.db")
    }

    private func fill() async throws {
        let database = try Store.Database(path: path)
        try await database.write { transaction in
            for number in 0..<200 {
                try transaction.put(
                    NamespaceRecord(name: "n\(number)", labels: ["text": String(repeating: "x", count: 100)]))
            }
            var parent: String?
            for number in 0..<60 {
                _ = try transaction.nextSnapshotIDs()
                try transaction.insert(
                    SnapshotRecord(
                        id: Int64(number + 1), namespace: "k8s.io", snapshotter: "overlayfs", key: "layer-\(number)",
                        parent: parent, kind: .committed, labels: ["text": String(repeating: "y", count: 200)], size: 1,
                        inodes: 1, createdAt: 1, updatedAt: 1))
                parent = "layer-\(number)"
            }
            try transaction.put(PodRecord(id: "p", name: "pod", createdAt: 1, version: 1, payload: Array("{}".utf8)))
        }
        try database.close()
        let queue = try DatabaseQueue(path: path.string)
        _ = try await queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try queue.close()
    }

    /// Zeroes pages of `table`, as lost writes leave them: the last ones, or all.
    private func damage(_ table: String, all: Bool = false) async throws {
        let queue = try DatabaseQueue(path: path.string)
        let pages = try await queue.read { database in
            // The pages below the root, by the number of each in its parent (file format, "B-tree pages").
            try Int.fetchAll(database, sql: "SELECT rootpage FROM sqlite_schema WHERE name = ?", arguments: [table])
        }
        let size = try await queue.read { try Int.fetchOne($0, sql: "PRAGMA page_size") ?? 4096 }
        try queue.close()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path.string))
        let root = (pages[0] - 1) * size
        // An interior page's last child is in its head.
        let last = bytes[root + 8..<root + 12].reduce(0) { $0 << 8 | Int($1) }
        let doomed = all || ![2, 5].contains(bytes[root]) ? pages[0] : last
        for index in ((doomed - 1) * size)..<(doomed * size) { bytes[index] = 0 }
        try bytes.write(to: URL(fileURLWithPath: path.string))
    }

    @Test func whatCanBeReadIsKept() async throws {
        try await fill()
        try await damage("namespace")
        let (database, repair) = try Store.Database.openRepairing(path: path)
        let found = try #require(repair)
        #expect(found.damaged == ["namespace"])
        #expect(found.kept["pod"] == 1)
        let kept = try #require(found.kept["namespace"])
        #expect(kept > 50 && kept < 200, "of the first pages")
        #expect(try await database.read { try $0.pod(id: "p") }?.name == "pod")
        #expect(try await database.read { try $0.namespace("n0") }?.labels["text"]?.count == 100)
        // The namespace of what is kept is there in any case.
        #expect(try await database.read { try $0.namespace("k8s.io") } != nil)
        #expect(FileManager.default.fileExists(atPath: found.aside.string))
        try database.close()
        let again = try Store.Database.openRepairing(path: path)
        #expect(again.repair == nil)
        try again.database.close()
    }

    @Test func layersWithoutTheOnesBelowAreNone() async throws {
        try await fill()
        try await damage("snapshot")
        let (database, repair) = try Store.Database.openRepairing(path: path)
        #expect(repair?.damaged.contains("snapshot") == true)
        let snapshots = try await database.read { try $0.snapshots(namespace: "k8s.io") }
        #expect(!snapshots.isEmpty && snapshots.count < 60)
        let keys = Set(snapshots.map(\.key))
        #expect(snapshots.allSatisfy { $0.parent.map(keys.contains) ?? true })
        // The next directory's number was never used.
        #expect(try await database.write { try $0.nextSnapshotIDs() } == 61...61)
        try database.close()
    }

    @Test func aSecondDamageDoesNotOverwriteTheFirst() async throws {
        for number in 1...2 {
            // What is in the log counts more than what is in the file.
            unlink("\(path)-wal")
            try Data(repeating: 0x5a, count: 8192).write(to: URL(fileURLWithPath: path.string))
            let (database, repair) = try Store.Database.openRepairing(path: path)
            let suffix = number == 1 ? ".damaged" : ".damaged-2"
            #expect(repair?.aside == FilePath(path.string + suffix))
            #expect(repair?.kept == [:])
            #expect(repair?.damaged.count == 9)
            try await database.write { try $0.put(NamespaceRecord(name: "new")) }
            try database.close()
        }
    }

    @Test func aProgramThatHoldsTheDatabaseIsSaid() async throws {
        let database = try Store.Database(path: path)
        var configuration = Configuration()
        // It holds its transaction between two calls.
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: path.string, configuration: configuration)
        try await other.writeWithoutTransaction { connection in
            try connection.execute(sql: "BEGIN IMMEDIATE")
        }
        let error = await #expect(throws: BerthError.self) {
            try await database.write { try $0.put(NamespaceRecord(name: "late")) }
        }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("locked by another process") == true)
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        try await database.write { try $0.put(NamespaceRecord(name: "late")) }
        try database.close()
    }
}
