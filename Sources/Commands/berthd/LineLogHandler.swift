internal import Engine
internal import Logging
internal import SystemPackage

/// One line for each message on stderr: time, level, words, `key=value` pairs.
struct LineLogHandler: LogHandler {
    let label: String
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(label: String, level: Logger.Level) {
        self.label = label
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(RFC3339.format(WallClock.now())) \(event.level) \(event.message)"
        let all = event.metadata.map { metadata.merging($0) { $1 } } ?? metadata
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(Self.quoted("\(value)"))"
        }
        // One write, so that lines of several threads do not mix; newlines of others' texts must not forge lines.
        let bytes = line.utf8.map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 } + [UInt8(ascii: "\n")]
        _ = try? FileDescriptor.standardError.writeAll(bytes)
    }

    static func quoted(_ text: String) -> String {
        let plain =
            !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        return plain ? text : "\"\(text.replacing("\"", with: "\\\""))\""
    }
}
