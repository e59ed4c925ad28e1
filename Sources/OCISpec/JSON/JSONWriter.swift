/// Text of a `JSONValue` or of what was encoded.
struct JSONWriter {
    let pretty: Bool
    /// Keys by name; otherwise in the order in which they were written.
    let sorted: Bool
    private(set) var bytes: [UInt8] = []

    init(pretty: Bool, sorted: Bool = true) {
        self.pretty = pretty
        self.sorted = sorted
    }

    mutating func write(_ slot: JSONEncoding.Slot, indent: Int = 0) {
        switch slot.content {
        case .empty: add("{}")
        case .value(let value): write(value, indent: indent)
        case .elements(let elements): array(elements, indent) { $0.write($1, indent: $2) }
        case .members(let members): object(members, indent) { $0.write($1, indent: $2) }
        }
    }

    mutating func write(_ value: JSONValue, indent: Int = 0) {
        switch value {
        case .null: add("null")
        case .bool(let flag): add(flag ? "true" : "false")
        case .number(let text): add(text)
        case .string(let text): quote(text)
        case .array(let elements): array(elements, indent) { $0.write($1, indent: $2) }
        case .object(let members):
            object(members.map { ($0.key, $0.value) }, indent) { $0.write($1, indent: $2) }
        }
    }

    private mutating func array<Element>(
        _ elements: [Element], _ indent: Int, _ body: (inout JSONWriter, Element, Int) -> Void
    ) {
        list("[", "]", elements, indent) { writer, element in body(&writer, element, indent + 1) }
    }

    private mutating func object<Value>(
        _ members: [(key: String, Value)], _ indent: Int, _ body: (inout JSONWriter, Value, Int) -> Void
    ) {
        list("{", "}", sorted ? members.sorted { $0.key < $1.key } : members, indent) { writer, member in
            writer.quote(member.key)
            writer.add(writer.pretty ? ": " : ":")
            body(&writer, member.1, indent + 1)
        }
    }

    private mutating func list<Element>(
        _ open: String, _ close: String, _ elements: [Element], _ indent: Int,
        _ body: (inout JSONWriter, Element) -> Void
    ) {
        add(open)
        var isFirst = true
        for element in elements {
            if !isFirst { add(",") }
            isFirst = false
            newline(indent + 1)
            body(&self, element)
        }
        if !elements.isEmpty { newline(indent) }
        add(close)
    }

    private mutating func newline(_ indent: Int) {
        guard pretty else { return }
        bytes.append(0x0a)
        bytes.append(contentsOf: repeatElement(0x20, count: indent * 2))
    }

    private mutating func add(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        if isPlain { add(text) } else { text.utf8.forEach { escape($0) } }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): add("\\\"")
        case UInt8(ascii: "\\"): add("\\\\")
        case 0x0a: add("\\n")
        case 0x0d: add("\\r")
        case 0x09: add("\\t")
        case 0..<0x20:
            let digits = Array("0123456789abcdef".utf8)
            add("\\u00")
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
        default: bytes.append(byte)
        }
    }
}
