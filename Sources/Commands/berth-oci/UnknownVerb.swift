/// A verb that there is not, and the one that was probably meant.
enum UnknownVerb {
    static func text(_ name: String) -> String {
        let nearest = Verbs.all.map { ($0.0, distance(name, $0.0)) }.min { $0.1 < $1.1 }
        let hint = nearest.map { $0.1 <= max(2, name.count / 3) ? ": did you mean \"\($0.0)\"?" : "" } ?? ""
        return
            "No help topic for '\(name.prefix(64))': unknown command \"\(name.prefix(64))\"\(hint) (berth-oci --help lists them)"
    }

    /// Letters to put, to drop or to change (Levenshtein).
    private static func distance(_ left: String, _ right: String) -> Int {
        let wanted = Array(right)
        var row = Array(0...wanted.count)
        for (index, letter) in left.prefix(64).enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in wanted.enumerated() {
                let above = row[column + 1]
                row[column + 1] = min(above + 1, row[column] + 1, diagonal + (letter == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[wanted.count]
    }
}
