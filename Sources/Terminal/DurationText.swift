internal import Core

/// Durations as Go's command lines take them: `300ms`, `2s`, `1m30s`, `1.5h`; a bare number counts seconds.
public enum DurationText {
    private static let units: [(name: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("h", 3600e9), ("m", 60e9), ("s", 1e9),
    ]

    /// - Throws: `BerthError` (`invalidArgument`) that names `field` and the text.
    public static func parse(_ text: String, field: String) throws -> Duration {
        guard let nanoseconds = nanoseconds(text) else {
            throw BerthError.invalid(field: field, value: text, rule: "must be a duration such as 300ms, 20s or 1m30s")
        }
        return .nanoseconds(nanoseconds)
    }

    private static func nanoseconds(_ text: String) -> Int64? {
        if let seconds = Double(text) { return bounded(seconds * 1e9) }
        var rest = Substring(text)
        var sign = 1.0
        if let first = rest.first, first == "-" || first == "+" {
            sign = first == "-" ? -1 : 1
            rest.removeFirst()
        }
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let value = Double(digits) else { return nil }
            rest.removeFirst(digits.count)
            let name = rest.prefix { !($0.isASCII && ($0.isNumber || $0 == ".")) }
            guard let unit = units.first(where: { $0.name == name }) else { return nil }
            rest.removeFirst(name.count)
            total += value * unit.nanoseconds
        }
        return bounded(sign * total)
    }

    private static func bounded(_ nanoseconds: Double) -> Int64? {
        guard nanoseconds.isFinite, abs(nanoseconds) < 9.2e18 else { return nil }
        return Int64(nanoseconds)
    }
}
