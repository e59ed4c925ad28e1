internal import Core
internal import TOMLKit

/// A table of the configuration file, read key by key; what was never asked for is an unknown key.
final class TOMLSection {
    private let table: TOMLTable
    private let path: String
    private var known: Set<String> = []
    private var sections: [TOMLSection] = []

    init(_ table: TOMLTable, path: String = "") {
        self.table = table
        self.path = path
    }

    func string(_ key: String) throws -> String? {
        try value(key, "a string") { $0.type == .string ? $0.string : nil }
    }

    func integer(_ key: String) throws -> Int? {
        try value(key, "an integer") { $0.type == .int ? $0.int : nil }
    }

    func boolean(_ key: String) throws -> Bool? {
        try value(key, "true or false") { $0.type == .bool ? $0.bool : nil }
    }

    func strings(_ key: String) throws -> [String]? {
        try value(key, "an array of strings") { value in
            guard let array = value.array else { return nil }
            let strings = array.compactMap { $0.type == .string ? $0.string : nil }
            return strings.count == array.count ? strings : nil
        }
    }

    /// An empty section where there is none.
    func section(_ key: String) throws -> TOMLSection {
        let inner = try value(key, "a table") { $0.table } ?? TOMLTable()
        let section = TOMLSection(inner, path: name(key))
        sections.append(section)
        return section
    }

    /// The tables of `[PATH.NAME]` by name.
    func namedSections(_ key: String) throws -> [(name: String, section: TOMLSection)] {
        let outer = try section(key)
        return try outer.table.keys.map { ($0, try outer.section($0)) }
    }

    /// - Throws: `BerthError` that names the first key that nobody asked for, and the nearest one that exists.
    func refuseUnknownKeys() throws {
        for key in table.keys.sorted() where !known.contains(key) {
            let nearest = known.map { ($0, Self.distance(key, $0)) }.min { ($0.1, $0.0) < ($1.1, $1.0) }
            let advice =
                if let nearest, nearest.1 <= max(2, key.count / 2) { "did you mean \(name(nearest.0))?" } else {
                    "known are \(known.sorted().joined(separator: ", "))"
                }
            throw BerthError(.invalidArgument, "unknown key \(name(key))", advice: advice)
        }
        for section in sections { try section.refuseUnknownKeys() }
    }

    func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func value<Value>(
        _ key: String, _ kind: String, _ read: (any TOMLValueConvertible) -> Value?
    ) throws -> Value? {
        known.insert(key)
        guard let found = table[key] else { return nil }
        guard let value = read(found) else {
            throw BerthError(.invalidArgument, "\(name(key)) must be \(kind), not \(found.debugDescription)")
        }
        return value
    }

    /// Levenshtein's distance: single letters to insert, remove or change.
    static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
