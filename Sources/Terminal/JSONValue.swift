/// JSON with the members of objects in their order and numbers as they are written.
public indirect enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// The digits, since 64-bit numbers do not survive a trip through `Double`.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    public struct Member: Equatable, Sendable {
        public var key: String
        public var value: JSONValue

        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    public static func number(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }

    /// The member of an object; the last one where a key is there twice.
    public subscript(key: String) -> JSONValue? {
        get {
            guard case .object(let members) = self else { return nil }
            return members.last { $0.key == key }?.value
        }
        set {
            guard case .object(var members) = self else { return }
            let index = members.lastIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append(Member(key, value))
            case (nil, nil): return
            }
            self = .object(members)
        }
    }

    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// What kind of value it is, for error texts.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The same value with the members of every object in alphabetical order.
    public var sorted: JSONValue {
        switch self {
        case .array(let elements): .array(elements.map(\.sorted))
        case .object(let members):
            .object(members.map { Member($0.key, $0.value.sorted) }.sorted { $0.key < $1.key })
        default: self
        }
    }
}

extension JSONValue {
    /// Over several lines, without a newline at the end; empty lists and objects stay on their line.
    ///
    /// - Parameter indentation: blanks for each level: two as crictl prints, four as ctr does.
    public func rendered(indentation: Int = 2) -> String {
        var text = ""
        write(into: &text, margin: "", step: String(repeating: " ", count: indentation))
        return text
    }

    /// On one line, without blanks.
    public func renderedCompactly() -> String {
        var text = ""
        write(into: &text, margin: nil, step: "")
        return text
    }

    /// - Parameter margin: what a line begins with; `nil` for everything on one line.
    private func write(into text: inout String, margin: String?, step: String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let digits): text += digits
        case .string(let value): Self.quote(value, into: &text)
        case .array(let elements):
            Self.writeBlock("[", "]", count: elements.count, margin: margin, step: step, into: &text) {
                index, inner, text in
                elements[index].write(into: &text, margin: inner, step: step)
            }
        case .object(let members):
            Self.writeBlock("{", "}", count: members.count, margin: margin, step: step, into: &text) {
                index, inner, text in
                Self.quote(members[index].key, into: &text)
                text += inner == nil ? ":" : ": "
                members[index].value.write(into: &text, margin: inner, step: step)
            }
        }
    }

    private static func writeBlock(
        _ open: String, _ close: String, count: Int, margin: String?, step: String, into text: inout String,
        element: (Int, String?, inout String) -> Void
    ) {
        let inner = margin.map { $0 + step }
        text += open
        for index in 0..<count {
            if index > 0 { text += "," }
            if let inner { text += "\n" + inner }
            element(index, inner, &text)
        }
        if count > 0, let margin { text += "\n" + margin }
        text += close
    }

    private static func quote(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..<" ":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
