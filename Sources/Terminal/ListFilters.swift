internal import Core

/// Selections that crictl makes on the client's side of a list.
public enum ListFilters {
    /// `key=value` pairs of `--label`.
    ///
    /// - Throws: `BerthError` (`invalidArgument`).
    public static func labels(_ pairs: [String], field: String = "--label") throws -> [String: String] {
        var labels: [String: String] = [:]
        for pair in pairs {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw BerthError.invalid(field: field, value: pair, rule: "must be KEY=VALUE")
            }
            labels[String(parts[0])] = String(parts[1])
        }
        return labels
    }

    /// A test against a regular expression, found anywhere in the text; everything passes where there is none.
    ///
    /// - Throws: `BerthError` (`invalidArgument`).
    public static func pattern(_ expression: String?, field: String) throws -> (String) -> Bool {
        guard let expression, !expression.isEmpty else { return { _ in true } }
        do {
            let regex = try Regex(expression)
            return { $0.firstMatch(of: regex) != nil }
        } catch {
            throw BerthError.invalid(field: field, value: expression, rule: "is not a regular expression")
        }
    }

    /// How many of `total` entries `--latest` and `--last` leave.
    public static func count(of total: Int, latest: Bool, last: Int?) -> Int {
        if let last, last > 0 { return min(last, total) }
        return latest ? min(1, total) : total
    }

    /// The full ID that begins with `prefix`.
    ///
    /// - Throws: `BerthError`: `notFound`, or `invalidArgument` where several IDs begin so.
    public static func id(matching prefix: String, among ids: [String], kind: String) throws -> String {
        if ids.contains(prefix) { return prefix }
        let matches = ids.filter { $0.hasPrefix(prefix) }
        guard let match = matches.first, !prefix.isEmpty else { throw BerthError.notFound(kind, prefix) }
        guard matches.count == 1 else {
            let some = matches.prefix(3).map { String($0.prefix(20)) }.joined(separator: ", ")
            throw BerthError.invalid(
                field: "\(kind) id", value: prefix,
                rule: "is ambiguous: \(matches.count) begin with it, such as \(some)")
        }
        return match
    }

    /// The first 13 characters of an ID, the algorithm of a digest left out.
    public static func truncated(_ id: String) -> String {
        let bare = id.hasPrefix("sha256:") ? String(id.dropFirst(7)) : id
        return String(bare.prefix(13))
    }
}
