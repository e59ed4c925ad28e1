private import SwiftProtobuf
internal import Terminal

/// What the commands print.
enum Output {
    static func line(_ text: String = "") { TerminalOutput.standardOutput.writeLine(text) }

    static func warn(_ text: String) {
        let output = TerminalOutput.standardError
        output.writeLine(output.color(.yellow, "warning:") + " " + text)
    }

    static func table(_ table: TextTable) { TerminalOutput.standardOutput.write(table.render()) }

    /// `a=b,c=d` in order of the keys; `none` where there are none.
    static func labels(_ labels: [String: String], none: String = "") -> String {
        guard !labels.isEmpty else { return none }
        return labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }
}

/// `KEY=VALUE` arguments of the label commands; an empty value takes the label away.
struct LabelChanges {
    var labels: [String: String]

    init(_ arguments: [String]) throws {
        labels = try ListFilters.labels(arguments, field: "label")
    }

    /// The field mask that names each of them.
    var paths: [String] { labels.keys.sorted().map { "labels.\($0)" } }
}
