internal import Core

/// Annotations that give properties of a container's unit: `org.systemd.property.TimeoutStopUSec: "uint64 90000000"`.
enum UnitAnnotations {
    static let prefix = "org.systemd.property."

    /// - Throws: `BerthError` (`invalidArgument`) that names the annotation.
    static func properties(_ annotations: [String: String]) throws -> [SystemdManager.Property] {
        try annotations.sorted { $0.key < $1.key }.compactMap { key, text in
            guard key.hasPrefix(prefix) else { return nil }
            let name = String(key.dropFirst(prefix.count))
            // Letters alone, of which the first is a capital, as all of systemd's.
            guard let first = name.utf8.first, (65...90).contains(first), name.utf8.count >= 3,
                name.utf8.allSatisfy({ (65...90).contains($0) || (97...122).contains($0) })
            else {
                throw BerthError.invalid(
                    field: "config.json: annotations", value: key, rule: "names no systemd property")
            }
            guard let value = value(text) else {
                throw BerthError.invalid(
                    field: "config.json: annotations[\"\(key)\"]", value: text.prefix(128),
                    rule: "is no value: known are 'text', true, false, numbers as \"uint64 5\", and lists of texts")
            }
            return name.hasSuffix("Sec") ? try seconds(name, value, text) : (name, value)
        }
    }

    /// Times are written in seconds (`TimeoutStopSec`) and told in microseconds (`TimeoutStopUSec`).
    private static func seconds(_ name: String, _ value: DBusValue, _ text: String) throws -> SystemdManager.Property {
        if name.hasSuffix("USec") { return (name, value) }
        guard let number = value.number, number <= UInt64.max / 1_000_000 else {
            throw BerthError.invalid(
                field: "config.json: annotations[\"\(prefix)\(name)\"]", value: text.prefix(128),
                rule: "is no number of seconds")
        }
        return (String(name.dropLast(3)) + "USec", .uint64(number * 1_000_000))
    }

    /// GVariant's text format, as far as properties of units have use for it.
    static func value(_ text: String) -> DBusValue? {
        let text = trimmed(text[...])
        switch text {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        default: break
        }
        if let quoted = quoted(text) { return .string(quoted) }
        if text.hasPrefix("["), text.hasSuffix("]") {
            let inner = trimmed(text.dropFirst().dropLast())
            var texts: [String] = []
            for part in inner.isEmpty ? [] : inner.split(separator: ",", omittingEmptySubsequences: false) {
                guard let element = quoted(trimmed(part)) else { return nil }
                texts.append(element)
            }
            return .strings(texts)
        }
        return number(text)
    }

    private static func number(_ text: Substring) -> DBusValue? {
        let words = text.split(separator: " ")
        guard let last = words.last, words.count <= 2 else { return nil }
        switch words.count == 2 ? words[0] : "int32" {
        case "int32": return Int32(last).map { .int32($0) }
        case "uint32": return UInt32(last).map { .uint32($0) }
        case "int64": return Int64(last).map { .int64($0) }
        case "uint64": return UInt64(last).map { .uint64($0) }
        case "byte": return UInt8(last).map { .byte($0) }
        default: return nil
        }
    }

    /// Without escapes, which no value of a unit needs.
    private static func quoted(_ text: Substring) -> String? {
        guard text.utf8.count >= 2, let mark = text.first, mark == "'" || mark == "\"", text.last == mark else {
            return nil
        }
        let inner = text.dropFirst().dropLast()
        return inner.contains(mark) || inner.contains("\\") ? nil : String(inner)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}
