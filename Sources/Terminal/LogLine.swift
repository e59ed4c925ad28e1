/// One line of a container log in CRI's format: `2026-10-06T00:17:09.669794202Z stdout F the text`.
///
/// The tag is `F` where the container's line ends here, `P` where it goes on in the stream's next entry.
public struct LogLine: Equatable, Sendable {
    public enum Stream: String, Sendable {
        case stdout
        case stderr
    }

    public var timestamp: Timestamp
    /// As it is written in the log.
    public var timestampText: String
    public var stream: Stream
    public var isPartial: Bool
    public var content: [UInt8]

    public struct Malformed: Error, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// - Parameter bytes: one line without its newline.
    public init(parsing bytes: some Collection<UInt8>) throws(Malformed) {
        let blank = UInt8(ascii: " ")
        let parts = bytes.split(separator: blank, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3 else { throw Malformed(description: "log line without timestamp, stream and tag") }
        guard let timestamp = Timestamp(rfc3339: parts[0]) else {
            throw Malformed(description: "log line with a bad timestamp \"\(Self.text(parts[0]))\"")
        }
        guard let stream = Stream(rawValue: Self.text(parts[1])) else {
            throw Malformed(description: "log line of an unknown stream \"\(Self.text(parts[1]))\"")
        }
        self.timestamp = timestamp
        self.timestampText = Self.text(parts[0])
        self.stream = stream
        // Tags are separated by ':'; the first one is all there is so far.
        self.isPartial = parts[2].split(separator: UInt8(ascii: ":")).first.map { Self.text($0) == "P" } ?? false
        self.content = parts.count > 3 ? Array(parts[3]) : []
    }

    private static func text(_ bytes: some Collection<UInt8>) -> String {
        String(decoding: bytes.prefix(64), as: UTF8.self)
    }
}
