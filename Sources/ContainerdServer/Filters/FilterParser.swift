internal import Core

/// Reads one filter from left to right; the language is described at ``Filter``.
struct FilterParser {
    private static let lengthLimit = 16 << 10

    private let text: String
    private let scalars: [Unicode.Scalar]
    private var position = 0

    init(_ text: String) {
        self.text = text
        scalars = Array(text.unicodeScalars)
    }

    mutating func filter() throws -> [Filter.Selector] {
        guard scalars.count <= Self.lengthLimit else {
            throw BerthError(
                .invalidArgument, "filter \"\(text.prefix(80))…\" is longer than \(Self.lengthLimit) characters")
        }
        skipSpaces()
        if isAtEnd { return [] }
        var selectors = [try selector()]
        while !isAtEnd {
            guard accept(",") else { throw failure("expected \",\"") }
            skipSpaces()
            selectors.append(try selector())
        }
        return selectors
    }

    private var isAtEnd: Bool { position >= scalars.count }

    private var next: Unicode.Scalar? { isAtEnd ? nil : scalars[position] }

    private mutating func selector() throws -> Filter.Selector {
        var path = [try field()]
        while accept(".") { path.append(try field()) }
        skipSpaces()
        guard let next, next != "," else {
            return try Filter.Selector(path: path, operation: .present, value: "", filter: text)
        }
        let operation = try self.operation()
        skipSpaces()
        let value = try self.value(allowsRawQuotes: operation == .matches)
        skipSpaces()
        return try Filter.Selector(path: path, operation: operation, value: value, filter: text)
    }

    private mutating func field() throws -> String {
        if next == "\"" { return try quoted() }
        guard let first = next, Self.isLetter(first) else { throw failure("expected a field name") }
        var name = String.UnicodeScalarView()
        while let scalar = next, Self.isLetter(scalar) || ("0"..."9").contains(scalar) || scalar == "_" {
            name.append(scalar)
            position += 1
        }
        return String(name)
    }

    private mutating func operation() throws -> Filter.Operation {
        let end = min(position + 2, scalars.count)
        let symbol = String(String.UnicodeScalarView(scalars[position..<end]))
        guard let operation = Filter.Operation(rawValue: symbol), operation != .present else {
            throw failure("expected ==, != or ~=")
        }
        position += 2
        return operation
    }

    private mutating func value(allowsRawQuotes: Bool) throws -> String {
        if next == "\"" { return try quoted() }
        if allowsRawQuotes, let delimiter = next, delimiter == "/" || delimiter == "|" {
            return try raw(until: delimiter)
        }
        var value = String.UnicodeScalarView()
        while let scalar = next, scalar != ",", !scalar.properties.isWhitespace {
            value.append(scalar)
            position += 1
        }
        guard !value.isEmpty else { throw failure("expected a value") }
        return String(value)
    }

    /// A regular expression between two delimiters; `\` before the delimiter keeps it in the expression.
    private mutating func raw(until delimiter: Unicode.Scalar) throws -> String {
        position += 1
        var value = String.UnicodeScalarView()
        while let scalar = next {
            position += 1
            if scalar == delimiter { return String(value) }
            if scalar == "\\", next == delimiter {
                value.append(delimiter)
                position += 1
            } else {
                value.append(scalar)
            }
        }
        throw failure("expected a closing \(delimiter)")
    }

    /// A Go string literal (language specification, "String literals").
    private mutating func quoted() throws -> String {
        position += 1
        var value = String.UnicodeScalarView()
        while let scalar = next {
            position += 1
            switch scalar {
            case "\"": return String(value)
            case "\\": value.append(try escape())
            case "\n": throw failure("expected a closing quote")
            default: value.append(scalar)
            }
        }
        throw failure("expected a closing quote")
    }

    private mutating func escape() throws -> Unicode.Scalar {
        guard let scalar = next else { throw failure("expected an escape sequence") }
        position += 1
        switch scalar {
        case "\"", "\\", "/", "'": return scalar
        case "a": return "\u{07}"
        case "b": return "\u{08}"
        case "f": return "\u{0c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{0b}"
        case "x": return try number(digits: 2, radix: 16)
        case "u": return try number(digits: 4, radix: 16)
        case "U": return try number(digits: 8, radix: 16)
        case "0"..."7":
            position -= 1
            return try number(digits: 3, radix: 8)
        default:
            throw failure("unknown escape sequence \\\(scalar)")
        }
    }

    private mutating func number(digits: Int, radix: Int) throws -> Unicode.Scalar {
        let end = min(position + digits, scalars.count)
        let text = String(String.UnicodeScalarView(scalars[position..<end]))
        guard text.unicodeScalars.count == digits, text.first != "+", text.first != "-",
            let value = UInt32(text, radix: radix), let scalar = Unicode.Scalar(value)
        else { throw failure("malformed escape sequence") }
        position = end
        return scalar
    }

    private mutating func accept(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private mutating func skipSpaces() {
        while let next, next.properties.isWhitespace { position += 1 }
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
    }

    private func failure(_ expectation: String) -> BerthError {
        let before = String(String.UnicodeScalarView(scalars[..<position]))
        let after = String(String.UnicodeScalarView(scalars[position...]))
        return BerthError(.invalidArgument, "filter \"\(before)\(after)\": \(expectation) at \"\(before)|\(after)\"")
    }
}
