/// What is looked at in a TOML document before the library parses it.
public enum TOMLText {
    /// The library's parser (toml++) ends the process, by an assertion, at a table header that does not begin with a key,
    /// such as `[(`, or `[` at the end of a line that is not the last.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) that names the line.
    public static func checkTableHeaders(_ text: String) throws {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            var rest = line.utf8.drop { isSpace($0) }
            guard rest.popFirst() == UInt8(ascii: "[") else { continue }
            if rest.first == UInt8(ascii: "[") { rest.removeFirst() }
            if let first = rest.first(where: { !isSpace($0) }) {
                if isKeyStart(first) { continue }
            } else if number + 1 == lines.count {
                continue
            }
            throw BerthError(
                .invalidArgument, "\"\(line.prefix(80))\" must have a key after its bracket (line \(number + 1))")
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func isKeyStart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "\""),
            UInt8(ascii: "'"), UInt8(ascii: "]"):
            true
        default: false
        }
    }
}
