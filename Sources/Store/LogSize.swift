internal import GRDB
private import GRDBSQLite
internal import Synchronization

/// How long the log is, as its last commit has left it.
final class LogSize: Sendable {
    /// Pages with which SQLite makes a checkpoint by itself.
    static let due = 1000
    static let limit = Int(ReservedSpace.log) / 4096 * 3 / 4

    let pages = Atomic<Int>(0)
    /// Whether no task is on its way to make it shorter.
    let isKept = Atomic<Bool>(true)

    /// In the place of SQLite's automatic checkpoints. This is to live longer than the connection.
    func observe(_ database: GRDB.Database) {
        let pointer = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_wal_hook(
            database.sqliteConnection,
            { pointer, _, _, pages in
                guard let pointer else { return SQLITE_OK }
                Unmanaged<LogSize>.fromOpaque(pointer).takeUnretainedValue().pages
                    .store(Int(pages), ordering: .relaxed)
                return SQLITE_OK
            }, pointer)
    }
}
