internal import Foundation
internal import GRDB

/// What can be asked inside one consistent view of the database. Not to be kept after the closure that got it.
public class ReadTransaction {
    let database: GRDB.Database

    init(_ database: GRDB.Database) {
        self.database = database
    }
}

// What each start of a container asks and changes is SQL that its connection compiles once: with requests, GRDB writes it and has it
// compiled anew each time, which takes longer than its answer.

// Records that it reads take their columns by hand, since a decoder is slower than the query.

/// Labels and annotations: JSON objects of strings, as Codable records have them.
enum Labels {
    static func decode(_ text: String) throws -> [String: String] {
        if text == "{}" { return [:] }
        return try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
    }

    static func encode(_ labels: [String: String]) throws -> String {
        if labels.isEmpty { return "{}" }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(labels), as: UTF8.self)
    }
}

extension FetchableRecord {
    static func fetchOne(
        _ database: GRDB.Database, compiledOnce sql: String, _ arguments: StatementArguments
    ) throws -> Self? {
        try fetchOne(database.cachedStatement(sql: sql), arguments: arguments)
    }
}

extension DatabaseValueConvertible where Self: StatementColumnConvertible {
    static func fetchOne(
        _ database: GRDB.Database, compiledOnce sql: String, _ arguments: StatementArguments
    ) throws -> Self? {
        try fetchOne(database.cachedStatement(sql: sql), arguments: arguments)
    }
}

extension GRDB.Database {
    /// - Returns: the number of rows that it changed.
    @discardableResult
    func change(compiledOnce sql: String, _ arguments: StatementArguments) throws -> Int {
        try cachedStatement(sql: sql).execute(arguments: arguments)
        return changesCount
    }
}

/// A ``ReadTransaction`` that can change things too.
public final class WriteTransaction: ReadTransaction {
    var changesImages = false
}
