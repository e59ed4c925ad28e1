private import Glibc
internal import GRDB
internal import Synchronization
internal import SystemPackage

/// Room that the database has already, so that what frees space can be written down on a disk that is full. Nobody else
/// can take it, as somebody could who finds the blocks of a file that was removed to make room.
///
/// The log's file has blocks for twice what it grows to before it is begun anew; and the database has pages that
/// hold nothing. What is removed or changed needs hardly a new page. New objects do, and would use the reserve up: for
/// those there has to be room besides (`Database.write`).
final class ReservedSpace: Sendable {
    /// Bytes of the log.
    static let log: Int64 = 8 << 20
    /// Pages of the database.
    static let pages = 64
    /// Of a filesystem with less free space the reserve would be too large a part.
    static let leastRoom = 4 * log

    private let path: FilePath
    private let hasLog = Mutex(false)
    /// Pages of the database that hold nothing, as the last write has left them.
    private let free = Atomic<Int>(pages)

    init(_ path: FilePath) {
        self.path = path
    }

    var isThere: Bool { hasLog.withLock { $0 } }
    var isHalfUsed: Bool { free.load(ordering: .relaxed) < Self.pages / 2 }
    /// What comes next would make the database longer in its log alone, whose pages find no place on a disk that is full by then.
    var isUsedUp: Bool { free.load(ordering: .relaxed) < Self.pages / 8 }

    /// To be called by each write, in its transaction or after it.
    func count(_ database: GRDB.Database) throws {
        let count = try Int.fetchOne(database, compiledOnce: "PRAGMA freelist_count", [])
        free.store(count ?? 0, ordering: .relaxed)
    }

    /// Takes what is missing where there is room; where that fails the database is as good without. On the connection that
    /// writes, outside of a transaction.
    func take(_ database: GRDB.Database) {
        guard Self.room(at: path) >= Self.leastRoom else { return }
        hasLog.withLock { hasLog in if !hasLog { hasLog = takeLog() } }
        try? takePages(database)
    }

    /// The file becomes longer, by zeros, which SQLite takes for the end of what is in it. Closing a descriptor of it is
    /// harmless: its locks are on the index.
    private func takeLog() -> Bool {
        guard
            let file = try? FileDescriptor.open("\(path)-wal", .readWrite, options: [.closeOnExec, .noFollow])
        else { return false }
        defer { try? file.close() }
        return posix_fallocate(file.rawValue, 0, off_t(Self.log)) == 0
    }

    /// Pages of a table that is written to the file and dropped again: their blocks stay.
    private func takePages(_ database: GRDB.Database) throws {
        try count(database)
        guard free.load(ordering: .relaxed) < Self.pages else { return }
        defer { try? count(database) }
        let size = (try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096) * Self.pages
        try database.execute(sql: "DROP TABLE IF EXISTS reserve")
        try database.execute(sql: "CREATE TABLE reserve AS SELECT zeroblob(\(size)) AS blank")
        _ = try Row.fetchAll(database, sql: "PRAGMA wal_checkpoint(PASSIVE)")
        try database.execute(sql: "DROP TABLE reserve")
    }

    /// - Parameter toRoot: with what the filesystem keeps back for root.
    /// - Returns: bytes.
    static func room(at path: FilePath, toRoot: Bool = false) -> Int64 {
        var status = statvfs()
        guard statvfs(path.removingLastComponent().string, &status) == 0 else { return .max }
        let blocks = toRoot ? status.f_bfree : status.f_bavail
        let (bytes, overflows) = UInt64(blocks).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflows ? .max : Int64(clamping: bytes)
    }
}
