/// What is looked at in a TOML document before the library parses it.
public enum TOMLText {
    /// Refuses what the library's parser would not survive.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) that names the line.
    public static func check(_ text: String) throws {
        try checkTableHeaders(text)
        try checkArrays(text)
    }

    /// The library's parser (toml++) ends the process, by an assertion, at a table header that does not begin with a key,
    /// such as `[(`, or `[` at the end of a line that is not the last.
    static func checkTableHeaders(_ text: String) throws {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            var rest = line.utf8[...]
            if number == 0, rest.starts(with: byteOrderMark) { rest.removeFirst(byteOrderMark.count) }
            rest = rest.drop { isSpace($0) }
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

    /// The parser also counts on an array's element being no `}`: what it does with `[}` is undefined.
    static func checkArrays(_ text: String) throws {
        var scan = Scan(bytes: Array(text.utf8))
        try scan.run()
    }

    /// What comes before the byte that is looked at, in a document that is well-formed so far: behind its first mistake the parser reads
    /// nothing, and neither has this to understand anything.
    private struct Scan {
        let bytes: [UInt8]
        var index = 0
        var line = 1
        /// The last byte that is no space, comment or end of a line.
        var last: UInt8 = 0

        mutating func run() throws {
            while index < bytes.count {
                let byte = bytes[index]
                switch byte {
                case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString(byte)
                case UInt8(ascii: "#"): while index + 1 < bytes.count, bytes[index + 1] != 0x0a { index += 1 }
                case 0x0a: line += 1
                case UInt8(ascii: "}") where last == UInt8(ascii: "[") || last == UInt8(ascii: ","):
                    throw BerthError(.invalidArgument, "\"}\" where a value or a key must be (line \(line))")
                case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
                // Spaces beyond ASCII, and a byte order mark, count as spaces too.
                case 0x80...: break
                default: last = byte
                }
                index += 1
            }
        }

        /// From a string's first quote to its last.
        private mutating func skipString(_ quote: UInt8) {
            last = quote
            let isLong = bytes[index...].starts(with: [quote, quote, quote])
            let end = [UInt8](repeating: quote, count: isLong ? 3 : 1)
            index += end.count
            while index < bytes.count, !bytes[index...].starts(with: end) {
                if bytes[index] == 0x0a { line += 1 }
                if bytes[index] == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") { index += 1 }
                index += 1
            }
            index += end.count - 1
            // A long string may end with quotes of its own.
            while isLong, index + 1 < bytes.count, bytes[index + 1] == quote { index += 1 }
        }
    }

    private static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

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
