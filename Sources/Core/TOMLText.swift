/// What is looked at in a TOML document before the library parses it.
public enum TOMLText {
    /// Refuses what the library's parser (toml++) would not survive:
    /// - a table header that does not begin with a key, such as `[(`, or `[` at the end of a line that is not the last: the parser
    ///   ends the process by an assertion;
    /// - an array's element that is a `}`: what it does with `[}` is undefined.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) that names the line.
    public static func check(_ text: String) throws {
        var scan = Scan(bytes: Array(text.utf8))
        try scan.run()
    }

    /// What comes before the byte that is looked at, in a document that is well-formed so far: behind its first mistake the parser reads
    /// nothing, and neither has this to understand anything.
    private struct Scan {
        let bytes: [UInt8]
        var index = 0
        var line = 1
        /// Brackets and braces that are open. A `[` at a line's start is a header's where there are none, else an array's.
        var depth = 0
        var isLineStart = true
        /// The last byte that is no space, comment or end of a line.
        var last: UInt8 = 0

        mutating func run() throws {
            while index < bytes.count {
                let byte = bytes[index]
                switch byte {
                case UInt8(ascii: "#"):
                    while index + 1 < bytes.count, bytes[index + 1] != newline { index += 1 }
                case newline:
                    line += 1
                    isLineStart = true
                // Spaces beyond ASCII, and a byte order mark, count as spaces too.
                case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), 0x80...: break
                default:
                    try take(byte)
                    isLineStart = false
                }
                index += 1
            }
        }

        private mutating func take(_ byte: UInt8) throws {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString(byte)
            case UInt8(ascii: "["):
                if isLineStart, depth == 0 { try checkHeader() }
                depth += 1
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"): depth = max(0, depth - 1)
            case UInt8(ascii: "}"):
                if last == UInt8(ascii: "[") || last == UInt8(ascii: ",") {
                    throw BerthError(.invalidArgument, "\"}\" where a value or a key must be (line \(line))")
                }
                depth = max(0, depth - 1)
            default: break
            }
            last = byte
        }

        private func checkHeader() throws {
            let header = bytes[index...].prefix { $0 != newline }
            var rest = header.dropFirst()
            if rest.first == UInt8(ascii: "[") { rest.removeFirst() }
            if let first = rest.first(where: { !isSpace($0) }) {
                if isKeyStart(first) { return }
            } else if header.endIndex == bytes.endIndex {
                return
            }
            let shown = String(decoding: header.prefix(80), as: UTF8.self)
            throw BerthError(.invalidArgument, "\"\(shown)\" must have a key after its bracket (line \(line))")
        }

        /// From a string's first quote to its last.
        private mutating func skipString(_ quote: UInt8) {
            let isLong = bytes[index...].starts(with: [quote, quote, quote])
            let end = [UInt8](repeating: quote, count: isLong ? 3 : 1)
            index += end.count
            while index < bytes.count, !bytes[index...].starts(with: end) {
                if bytes[index] == newline { line += 1 }
                if bytes[index] == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") { index += 1 }
                index += 1
            }
            index += end.count - 1
            // A long string may end with quotes of its own.
            while isLong, index + 1 < bytes.count, bytes[index + 1] == quote { index += 1 }
        }
    }

    private static let newline = UInt8(ascii: "\n")

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
