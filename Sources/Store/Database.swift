internal import Core
private import Glibc
internal import GRDB
private import GRDBSQLite
internal import Synchronization
public import SystemPackage

/// The daemon's metadata: one SQLite file in WAL mode, with the schema of ``Schema``.
///
/// Reads run in parallel on a snapshot of the last commit and never wait for a writer; writes are serialised.
/// Only one process at a time may have a database open: a lock on `PATH.lock` is held until ``close()``.
public final class Database: Sendable {
    /// What a committed write survives.
    public enum Durability: Sendable {
        /// Death of the process at any moment, but the newest commits may be missing after a power loss: for what is
        /// void after a reboot anyway, such as the state of running containers. No fsync.
        case processDeath
        /// Power loss as well: the write-ahead log is fsynced before the write returns.
        case powerLoss
    }

    /// What a write does to the room on the disk.
    public enum Purpose: Sendable {
        /// Something comes. Where the disk is full that is an error.
        case adding
        /// Something that is there changes or goes: that works on a full disk too, out of what is reserved for it.
        case keeping
    }

    public let path: FilePath
    private let pool: DatabasePool
    private let reserve: ReservedSpace
    private let lock: DatabaseLock
    /// Writes under way, upkeep among them.
    private let writers = Atomic<Int>(0)
    /// Committed changes of images' rows.
    private let imageChanges = Atomic<Int>(0)
    private let log: LogSize
    /// As far as it was set; to be asked by writers alone.
    private let durabilityOfWriter = Mutex<Durability?>(nil)

    /// Opens the database, creates it where there is none, and brings an older schema to the present one.
    ///
    /// - Parameter path: the file; its directory must exist.
    /// - Throws: `BerthError`: `unavailable` if another process has it open, `dataLoss` if it is damaged,
    ///   `failedPrecondition` if a newer version of Berth wrote it.
    public init(path: FilePath) throws {
        self.path = path
        lock = try DatabaseLock(database: path)
        log = LogSize()
        do {
            pool = try Self.open(path, log)
            reserve = ReservedSpace(path)
            pool.writeWithoutTransaction { Self.keepUp($0, reserve) }
        } catch {
            lock.release()
            throw Self.translate(error, path: path, doing: "open")
        }
    }

    private static func open(_ path: FilePath, _ log: LogSize) throws -> DatabasePool {
        // SQLite gives its -wal and -shm files the mode of the main one.
        let file = try FileDescriptor.open(
            path, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
        try file.close()
        var configuration = Configuration()
        // The log keeps its blocks while nobody has the database open: the next daemon may start on a full disk.
        configuration.prepareDatabase { database in
            var keep: CInt = 1
            _ = sqlite3_file_control(database.sqliteConnection, nil, SQLITE_FCNTL_PERSIST_WAL, &keep)
            // Instead of SQLite's own checkpoints, which wait for the disk, as no caller is to: `keepUp` makes them.
            log.observe(database)
        }
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = true
        configuration.maximumReaderCount = 4
        configuration.label = "meta"
        let pool = try DatabasePool(path: path.string, configuration: configuration)
        try pool.read { database in
            let verdict = try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
            guard verdict == "ok" else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: verdict) }
        }
        let migrator = Schema.migrator()
        if try pool.read(migrator.hasBeenSuperseded) {
            throw BerthError(
                .failedPrecondition, "metadata database \(path) was written by a newer version of Berth",
                advice: "start the newer version, or move the file aside and import the images again")
        }
        try migrator.migrate(pool)
        return pool
    }

    /// Runs `body` on a consistent snapshot of the database.
    public func read<Value: Sendable>(
        _ body: @escaping @Sendable (ReadTransaction) throws -> Value
    ) async throws -> Value {
        try readHere(body)
    }

    /// Another number than at any time before a committed change of an image's row, once that write has returned: what is
    /// remembered of those rows holds as long as this stays the same.
    public var imagesVersion: Int { imageChanges.load(ordering: .acquiring) }

    /// On the thread of the caller: a read waits for nobody, and takes less time than the way to another thread and back.
    private func readHere<Value>(_ body: (ReadTransaction) throws -> Value) throws -> Value {
        do {
            return try pool.read { try body(ReadTransaction($0)) }
        } catch {
            throw Self.translate(error, path: path, doing: "read")
        }
    }

    /// Runs `body` in one transaction: all of its changes are kept, or, if it throws, none.
    ///
    /// - Throws: `BerthError` (`resourceExhausted`) on a full disk.
    @discardableResult
    public func write<Value: Sendable>(
        durability: Durability = .powerLoss, _ purpose: Purpose = .adding,
        _ body: @escaping @Sendable (WriteTransaction) throws -> Value
    ) async throws -> Value {
        do {
            if purpose == .adding, Self.isFull(path) {
                throw DatabaseError(resultCode: .SQLITE_FULL, message: "what is left is kept for removals")
            }
            let others = writers.add(1, ordering: .acquiringAndReleasing).oldValue
            defer { writers.subtract(1, ordering: .acquiringAndReleasing) }
            // Who waits for no other writer nor for the disk is done sooner than he is on another thread and back.
            let value =
                others == 0 && durability == .processDeath
                ? try writeHere(body)
                : try await pool.writeWithoutTransaction { try self.transaction($0, durability, body) }
            await keepUpWhereDue(after: purpose)
            return value
        } catch {
            throw Self.translate(error, path: path, doing: "write")
        }
    }

    private func writeHere<Value>(_ body: (WriteTransaction) throws -> Value) throws -> Value {
        try pool.writeWithoutTransaction { try transaction($0, .processDeath, body) }
    }

    private func transaction<Value>(
        _ database: GRDB.Database, _ durability: Durability, _ body: (WriteTransaction) throws -> Value
    ) throws -> Value {
        // The writer is one connection, and holds the setting until it is changed.
        try durabilityOfWriter.withLock { present in
            guard present != durability else { return }
            try database.execute(sql: "PRAGMA synchronous = \(durability == .powerLoss ? "FULL" : "NORMAL")")
            present = durability
        }
        var value: Value?
        let transaction = WriteTransaction(database)
        try database.inTransaction(.immediate) {
            value = try body(transaction)
            return .commit
        }
        if transaction.changesImages { imageChanges.add(1, ordering: .releasing) }
        // It is committed: what fails from here on is no failure of it.
        try? reserve.count(database)
        guard let value else { throw BerthError(.internal, "a write transaction ended without a value") }
        return value
    }

    private func keepUpWhereDue(after purpose: Purpose) async {
        let pages = log.pages.load(ordering: .relaxed)
        // Where every thread is busy, a task comes late; and the log may not outgrow its reserve, nor what is new that of the
        // database.
        if pages >= LogSize.limit || purpose == .adding && reserve.isUsedUp { return await keepUp() }
        guard pages >= LogSize.due || reserve.isHalfUsed || !reserve.isThere,
            log.isKept.exchange(false, ordering: .acquiringAndReleasing)
        else { return }
        Task {
            await keepUp()
            log.isKept.store(true, ordering: .releasing)
        }
    }

    /// Takes what is missing of the reserve, and moves the log's pages to their places, so that it begins anew. What fails
    /// here is for the next time.
    private func keepUp() async {
        writers.add(1, ordering: .acquiringAndReleasing)
        defer { writers.subtract(1, ordering: .acquiringAndReleasing) }
        _ = try? await pool.writeWithoutTransaction { [reserve] in Self.keepUp($0, reserve) }
    }

    private static func keepUp(_ database: GRDB.Database, _ reserve: ReservedSpace) {
        // It may come after `close`.
        guard database.sqliteConnection != nil else { return }
        reserve.take(database)
        _ = try? database.checkpoint(.passive)
    }

    /// One transaction before anybody else uses the database.
    func writing(_ body: (GRDB.Database) throws -> Void) throws {
        do {
            try pool.write(body)
        } catch {
            throw Self.translate(error, path: path, doing: "write")
        }
    }

    /// Closes the file and lets another process open it. Later calls throw.
    public func close() throws {
        do {
            try pool.close()
        } catch {
            throw Self.translate(error, path: path, doing: "close")
        }
        lock.release()
    }

    /// Whether the filesystem has less room than the database grows by at a time. The daemon is root.
    private static func isFull(_ path: FilePath) -> Bool {
        ReservedSpace.room(at: path, toRoot: true) < 64 << 10
    }

    private static func translate(_ error: any Error, path: FilePath, doing what: String) -> any Error {
        guard let failure = error as? DatabaseError else { return error }
        switch failure.resultCode.primaryResultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return BerthError(
                .dataLoss, "metadata database \(path) is damaged", cause: failure,
                advice:
                    "start berthd again: it moves \(path) and \(path)-wal aside and goes on with what can be read of them"
            )
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return BerthError(
                .unavailable, "metadata database \(path) is locked by another process", cause: failure,
                advice: "close the program that has it open, or give each daemon its own --root")
        case let code where code == .SQLITE_FULL || code == .SQLITE_IOERR && isFull(path):
            // The index of the write-ahead log is mapped: where it finds no space, that is an input/output error.
            return BerthError(
                .resourceExhausted, "no space left to \(what) metadata database \(path)", cause: failure,
                advice: "free some space on its filesystem and repeat")
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_AUTH:
            return BerthError(
                .permissionDenied, "could not \(what) metadata database \(path)", cause: failure,
                advice: "its directory must exist and be writable to root")
        case .SQLITE_CONSTRAINT:
            return BerthError(
                .alreadyExists, "could not \(what) metadata: a unique value exists already", cause: failure)
        default:
            return BerthError(.internal, "could not \(what) metadata database \(path)", cause: failure)
        }
    }
}

/// An exclusive lock that the kernel drops with the process, so that a killed daemon leaves none behind.
private final class DatabaseLock: Sendable {
    private let descriptor: Mutex<FileDescriptor?>

    init(database: FilePath) throws {
        let path = FilePath(database.string + ".lock")
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec, .noFollow], permissions: [.ownerReadWrite])
        } catch {
            throw BerthError(
                .permissionDenied, "could not open \(path)", cause: error,
                advice: "its directory must exist and be writable to root")
        }
        guard flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            try? descriptor.close()
            throw BerthError(
                .unavailable, "metadata database \(database) is locked by another process",
                advice: "another berthd uses this directory; give each daemon its own --root")
        }
        self.descriptor = Mutex(descriptor)
    }

    func release() {
        let held = descriptor.withLock { held in
            defer { held = nil }
            return held
        }
        try? held?.close()
    }

    deinit { release() }
}
