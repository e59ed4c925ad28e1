/// What `logs` shows of a log.
public struct LogOptions: Sendable {
    public var since: Timestamp?
    public var timestamps = false
    /// Bytes of output after which nothing more is shown.
    public var limitBytes: Int?
    public var stream: LogLine.Stream?

    public init() {}
}

/// Turns the bytes of a log file, in pieces of any size, into what is written to standard output and error.
public struct LogFilter: Sendable {
    public struct Output: Equatable, Sendable {
        public var stream: LogLine.Stream
        public var bytes: [UInt8]

        public init(stream: LogLine.Stream, bytes: [UInt8]) {
            self.stream = stream
            self.bytes = bytes
        }
    }

    private let options: LogOptions
    /// The start of a line whose end has not been read yet.
    private var pending: [UInt8] = []
    private var remaining: Int?
    /// Lines that are not in CRI's format; the field's clients skip and report them.
    public private(set) var malformed: [LogLine.Malformed] = []

    public init(_ options: LogOptions) {
        self.options = options
        remaining = options.limitBytes
    }

    /// Whether `limitBytes` has been reached.
    public var isFull: Bool { remaining == 0 }

    public mutating func add(_ bytes: some Sequence<UInt8>) -> [Output] {
        pending += bytes
        var outputs: [Output] = []
        var start = 0
        while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if let output = output(of: pending[start..<end]) { outputs.append(output) }
            start = end + 1
        }
        pending.removeFirst(start)
        return outputs
    }

    /// A last line without newline, as a container leaves it that was killed while writing.
    public mutating func finish() -> [Output] {
        defer { pending = [] }
        guard !pending.isEmpty else { return [] }
        return output(of: pending[...]).map { [$0] } ?? []
    }

    private mutating func output(of bytes: ArraySlice<UInt8>) -> Output? {
        guard !bytes.isEmpty, remaining != 0 else { return nil }
        let line: LogLine
        do {
            line = try LogLine(parsing: bytes)
        } catch {
            malformed.append(error)
            return nil
        }
        if let since = options.since, line.timestamp < since { return nil }
        if let stream = options.stream, line.stream != stream { return nil }
        var text: [UInt8] = []
        if options.timestamps { text += Array("\(line.timestampText) ".utf8) }
        text += line.content
        if !line.isPartial { text.append(UInt8(ascii: "\n")) }
        if let left = remaining {
            text = Array(text.prefix(left))
            remaining = left - text.count
        }
        return Output(stream: line.stream, bytes: text)
    }

    /// Where the last `lines` lines of a file of `size` bytes begin.
    ///
    /// - Parameter read: gives the bytes of a range of the file.
    public static func offset(ofLast lines: Int, size: Int, read: (Range<Int>) throws -> [UInt8]) rethrows -> Int {
        guard lines > 0 else { return size }
        let newline = UInt8(ascii: "\n")
        var end = size
        // The newline at the very end closes the last line; it does not begin one more.
        var wanted = lines
        if size > 0, try read(size - 1..<size).first == newline { end = size - 1 }
        while end > 0 {
            let start = max(0, end - 65536)
            let block = try read(start..<end)
            for index in block.indices.reversed() where block[index] == newline {
                wanted -= 1
                if wanted == 0 { return start + index + 1 }
            }
            end = start
        }
        return 0
    }
}
