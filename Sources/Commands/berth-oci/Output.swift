internal import Glibc
internal import OCISpec
internal import SystemPackage

/// What a verb prints.
enum Output {
    static func json(_ value: some Encodable, pretty: Bool = true) throws {
        line(String(decoding: try StrictJSON.encode(value, pretty: pretty, sorted: false), as: UTF8.self))
    }

    static func line(_ text: String) {
        self.text(text + "\n")
    }

    /// As it is.
    static func text(_ text: String) {
        _ = try? FileDescriptor.standardOutput.writeAll(text.utf8)
    }

    static func error(_ text: String, newline: Bool = true) {
        _ = try? FileDescriptor.standardError.writeAll((text + (newline ? "\n" : "")).utf8)
    }

    static func end(_ code: Int32) -> Never {
        exit(code)
    }

    /// Columns, each as wide as its widest cell, at least 12 wide and 3 apart, as runc prints them.
    static func table(_ rows: [[String]]) {
        let widths = (rows.first ?? []).indices.map { column in
            max(12, (rows.map { $0[column].count }.max() ?? 0) + 3)
        }
        for row in rows {
            let padded = row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: max(0, widths[index] - cell.count))
            }
            line(padded.joined())
        }
    }
}
