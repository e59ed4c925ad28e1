internal import ArgumentParser
private import Core
internal import SwiftProtobuf
internal import Terminal

enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case json
    case yaml
    case table

    /// go-template is a language of Go's; the others say so instead of "not one of".
    init?(argument: String) {
        self.init(rawValue: argument)
    }
}

/// What the verbs print.
enum Output {
    static func line(_ text: String = "") { TerminalOutput.standardOutput.writeLine(text) }

    static func warn(_ text: String) {
        let output = TerminalOutput.standardError
        output.writeLine(output.color(.yellow, "warning:") + " " + text)
    }

    static func table(_ table: TextTable) { TerminalOutput.standardOutput.write(table.render()) }

    static func document(_ value: JSONValue, _ format: OutputFormat) throws {
        switch format {
        case .json, .table: line(value.rendered())
        case .yaml: line(try value.renderedYAML())
        }
    }

    static func message<M: Message>(_ message: M, _ format: OutputFormat) throws {
        try document(MessageJSON.value(of: message), format)
    }

    /// A status with the runtime's own information beside it; one alone is not put into a list.
    static func statuses(_ statuses: [StatusDocument], _ format: OutputFormat) throws {
        let values = statuses.map(\.value.sorted)
        try document(values.count == 1 ? values[0] : .array(values), format)
    }

    /// Labels or annotations, a line for each.
    static func pairs(_ title: String, _ pairs: [String: String]) {
        guard !pairs.isEmpty else { return }
        line("\(title):")
        for (key, value) in pairs.sorted(by: { $0.key < $1.key }) { line("\t\(key) -> \(value)") }
    }
}

/// `{"status": ..., KEY: ...}` of the inspect verbs; information that is JSON itself is shown as such.
struct StatusDocument {
    var members: [JSONValue.Member]

    init(status: JSONValue, info: [String: String], more: [JSONValue.Member] = []) {
        members = [.init("status", status)] + more
        members += info.map { key, text in
            let isDocument = text.hasPrefix("{") || text.hasPrefix("[")
            let value = isDocument ? try? JSONValue(parsing: text) : nil
            return .init(key, value ?? .string(text.trimming("\"")))
        }
    }

    var value: JSONValue { .object(members) }
}

extension String {
    fileprivate func trimming(_ character: Character) -> String {
        var text = self[...]
        while text.first == character { text.removeFirst() }
        while text.last == character { text.removeLast() }
        return String(text)
    }
}
