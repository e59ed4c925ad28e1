/// A line of `--trace`.
enum TraceLine {
    /// Milliseconds with three digits behind the point, in a column.
    static func text(_ words: String, nanoseconds: UInt64) -> String {
        let microseconds = (nanoseconds + 500) / 1000
        let fraction = "\(microseconds % 1000)"
        let number = "\(microseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
        return String(repeating: " ", count: max(0, 10 - number.count)) + number + " ms  " + words
    }
}
