internal import GRDB

/// What can be asked inside one consistent view of the database. Not to be kept after the closure that got it.
public class ReadTransaction {
    let database: GRDB.Database

    init(_ database: GRDB.Database) {
        self.database = database
    }
}

/// A ``ReadTransaction`` that can change things too.
public final class WriteTransaction: ReadTransaction {}
