public import Core
private import Foundation
private import Glibc
internal import GRDB
public import SystemPackage

extension Database {
    /// What a repair kept and what it lost.
    public struct Repair: Sendable {
        /// Where the damaged database is now, with its log.
        public let aside: FilePath
        /// Rows that could be read, by table.
        public let kept: [String: Int]
        /// Tables of which rows were unreadable, or meant nothing without rows that were.
        public let damaged: [String]
        public let cause: BerthError
    }

    /// Opens the database; a damaged one is put aside, and what can be read of it goes into a new one.
    ///
    /// What the rows refer to may be gone with other rows: who uses them compares them with what is on the disk.
    ///
    /// - Throws: as ``init(path:)``, but not `dataLoss`.
    public static func openRepairing(path: FilePath) throws -> (database: Database, repair: Repair?) {
        do {
            return (try Database(path: path), nil)
        } catch let error as BerthError where error.code == .dataLoss {
            let aside = try putAside(path)
            let database = try Database(path: path)
            let (kept, damaged) = try database.salvage(from: aside)
            return (database, Repair(aside: aside, kept: kept, damaged: damaged, cause: error))
        }
    }

    /// - Returns: the name that the file has now: PATH.damaged, or with the first number that is free.
    private static func putAside(_ path: FilePath) throws -> FilePath {
        var number = 1
        var aside = "\(path).damaged"
        while access(aside, F_OK) == 0 {
            number += 1
            aside = "\(path).damaged-\(number)"
        }
        // The log first: it belongs to the file, and means nothing to a new one.
        for suffix in ["-wal", ""] where rename("\(path)\(suffix)", "\(aside)\(suffix)") != 0 && errno != ENOENT {
            throw BerthError(
                .internal, "could not move the damaged \(path)\(suffix) aside", cause: Errno(rawValue: errno))
        }
        unlink("\(path)-shm")
        return FilePath(aside)
    }

    /// In an order in which no row comes before those that it refers to.
    private static let tables = [
        "namespace", "image", "content", "snapshot", "counter", "lease", "leaseResource", "pod", "container",
    ]

    private func salvage(from aside: FilePath) throws -> (kept: [String: Int], damaged: [String]) {
        var kept: [String: Int] = [:]
        var damaged: Set<String> = []
        let source: DatabaseQueue
        do {
            var configuration = Configuration()
            configuration.label = "damaged"
            source = try DatabaseQueue(path: aside.string, configuration: configuration)
        } catch {
            return ([:], Self.tables)
        }
        defer { try? source.close() }
        for table in Self.tables {
            let (rows, isWhole) = source.inDatabase { Self.readable(table, in: $0) }
            if !isWhole { damaged.insert(table) }
            try writing { database in
                let columns = Set(try database.columns(in: table).map(\.name))
                for row in rows {
                    do {
                        if columns.contains("namespace"), let namespace = row["namespace"] {
                            try database.execute(
                                sql: "INSERT OR IGNORE INTO namespace (name, labels) VALUES (?, '{}')",
                                arguments: [namespace])
                        }
                        let known = row.filter { columns.contains($0.key) }.sorted { $0.key < $1.key }
                        try database.execute(
                            sql: """
                                INSERT OR REPLACE INTO \(table) (\(known.map { "\"\($0.key)\"" }.joined(separator: ", ")))
                                VALUES (\(known.map { _ in "?" }.joined(separator: ", ")))
                                """, arguments: StatementArguments(known.map(\.value)))
                        kept[table, default: 0] += 1
                    } catch {
                        damaged.insert(table)
                    }
                }
            }
        }
        try writing { database in
            // A layer without what is below it is no layer.
            repeat {
                try database.execute(
                    sql: """
                        DELETE FROM snapshot WHERE parent IS NOT NULL AND NOT EXISTS (
                            SELECT 1 FROM snapshot AS below WHERE below.key = snapshot.parent
                            AND below.namespace = snapshot.namespace AND below.snapshotter = snapshot.snapshotter)
                        """)
                if database.changesCount > 0 {
                    damaged.insert("snapshot")
                    kept["snapshot", default: 0] -= database.changesCount
                }
            } while database.changesCount > 0
            // Numbers of directories are never given out twice.
            try database.execute(
                sql: """
                    INSERT INTO counter (name, value) SELECT 'snapshot', max(id) FROM snapshot WHERE true HAVING max(id) > 0
                    ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)
                    """)
        }
        return (kept, damaged.sorted())
    }

    /// The rows that can be read, from both ends: a page that is damaged hides what is behind it.
    private static func readable(
        _ table: String, in database: GRDB.Database
    ) -> (rows: [[String: DatabaseValue]], isWhole: Bool) {
        var rows: [[String: DatabaseValue]] = []
        func read(_ order: String) -> Bool {
            do {
                let cursor = try Row.fetchCursor(database, sql: "SELECT * FROM \(table) ORDER BY \(order)")
                while let row = try cursor.next() {
                    rows.append(Dictionary(row.map { ($0.0, $0.1) }) { first, _ in first })
                }
                return true
            } catch {
                return false
            }
        }
        let key = ((try? database.primaryKey(table).columns) ?? []).map { "\"\($0)\"" }
        guard !key.isEmpty else { return ([], false) }
        if read(key.joined(separator: ", ")) { return (rows, true) }
        _ = read(key.map { "\($0) DESC" }.joined(separator: ", "))
        return (rows, false)
    }
}
