internal import Foundation
internal import Logging
internal import SystemPackage

/// One line for each message on standard error: `TIME LEVEL key=value MESSAGE`.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(level: Logger.Level) { logLevel = level }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, own in own }
        let pairs = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value) " }.joined()
        // A value from a manifest must not start a line of its own.
        let text = "\(event.message)".map { $0.isNewline ? " " : String($0) }.joined()
        let time = Date().formatted(.iso8601)
        _ = try? FileDescriptor.standardError.writeAll("\(time) \(event.level) \(pairs)\(text)\n".utf8)
    }
}
