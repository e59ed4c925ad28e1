internal import Core

extension JSONValue {
    /// - Throws: `BerthError` (`invalidArgument`) with the line and column of what is wrong.
    public init(parsing text: String) throws {
        var parser = JSONParser(Array(text.utf8))
        self = try parser.document()
    }
}

private struct JSONParser {
    private let bytes: [UInt8]
    private var index = 0
    /// Deeper documents are refused: the parser and its users recurse.
    private static let maximumDepth = 200

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws -> JSONValue {
        let value = try value(depth: 0)
        skipBlanks()
        guard index == bytes.count else { throw failure("unexpected text after the value") }
        return value
    }

    private func failure(_ problem: String) -> BerthError {
        let before = bytes[..<min(index, bytes.count)]
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let column = before.count - ((before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1) + 1
        return BerthError(.invalidArgument, "JSON line \(line), column \(column): \(problem)")
    }

    private mutating func skipBlanks() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    private mutating func next(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func word(_ word: String) -> Bool {
        guard bytes[index...].starts(with: word.utf8) else { return false }
        index += word.utf8.count
        return true
    }

    private mutating func value(depth: Int) throws -> JSONValue {
        guard depth < Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth)") }
        skipBlanks()
        guard index < bytes.count else { throw failure("unexpected end") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t") where word("true"): return .bool(true)
        case UInt8(ascii: "f") where word("false"): return .bool(false)
        case UInt8(ascii: "n") where word("null"): return .null
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws -> JSONValue {
        index += 1
        var members: [JSONValue.Member] = []
        if next("}") { return .object(members) }
        repeat {
            skipBlanks()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw failure("expected a key") }
            let key = try string()
            guard next(":") else { throw failure("expected ':' after \"\(key)\"") }
            members.append(.init(key, try value(depth: depth + 1)))
        } while next(",")
        guard next("}") else { throw failure("expected ',' or '}'") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws -> JSONValue {
        index += 1
        var elements: [JSONValue] = []
        if next("]") { return .array(elements) }
        repeat { elements.append(try value(depth: depth + 1)) } while next(",")
        guard next("]") else { throw failure("expected ',' or ']'") }
        return .array(elements)
    }

    private mutating func number() throws -> JSONValue {
        let start = index
        while index < bytes.count, Self.numberBytes.contains(bytes[index]) { index += 1 }
        let digits = String(decoding: bytes[start..<index], as: UTF8.self)
        guard Double(digits) != nil, digits.last != ".", digits.first != "+", digits.first != "." else {
            index = start
            throw failure("unexpected character")
        }
        return .number(digits)
    }

    private static let numberBytes = Set("0123456789+-.eE".utf8)

    private mutating func string() throws -> String {
        index += 1
        var scalars: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: scalars, as: UTF8.self)
            case UInt8(ascii: "\\"): scalars += Array(String(try escape()).utf8)
            case 0..<0x20: throw failure("control character in a string")
            default: scalars.append(byte)
            }
        }
        throw failure("string without end")
    }

    private mutating func escape() throws -> Character {
        guard index < bytes.count else { throw failure("string without end") }
        let byte = bytes[index]
        index += 1
        switch Unicode.Scalar(byte) {
        case "\"": return "\""
        case "\\": return "\\"
        case "/": return "/"
        case "b": return "\u{8}"
        case "f": return "\u{C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u":
            let high = try codeUnit()
            guard UTF16.isLeadSurrogate(high), bytes[index...].starts(with: "\\u".utf8) else {
                return Character(Unicode.Scalar(high) ?? "\u{FFFD}")
            }
            index += 2
            let low = try codeUnit()
            return String(decoding: [high, low], as: UTF16.self).first ?? "\u{FFFD}"
        default: throw failure("unknown escape")
        }
    }

    private mutating func codeUnit() throws -> UInt16 {
        guard index + 4 <= bytes.count,
            let unit = UInt16(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16)
        else { throw failure("\\u needs four hexadecimal digits") }
        index += 4
        return unit
    }
}
