internal import Core

/// The head of an HTTP/1.1 request or response: all of HTTP that a connection needs before it is upgraded.
///
/// RFC 9112. Bodies are not read: requests that lead to a stream have none.
public struct HTTPHead: Sendable, Equatable {
    /// The three words of the first line: method, target, version; or version, status, reason.
    public var first: String
    public var second: String
    public var third: String
    /// In order; names as they came.
    public var fields: [Field]

    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(_ first: String, _ second: String, _ third: String, _ fields: [Field] = []) {
        self.first = first
        self.second = second
        self.third = third
        self.fields = fields
    }

    public static func request(_ method: String, _ target: String, _ fields: [Field]) -> HTTPHead {
        HTTPHead(method, target, "HTTP/1.1", fields)
    }

    public static func response(_ status: Int, _ reason: String, _ fields: [Field] = []) -> HTTPHead {
        HTTPHead("HTTP/1.1", "\(status)", reason, fields)
    }

    /// Each value of the fields of this name, with lists taken apart at their commas.
    public func list(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }
            .flatMap { $0.value.split(separator: ",") }
            .map { $0.trimmingSpaces }
            .filter { !$0.isEmpty }
    }

    /// Whether a list of tokens has `token`, in any case.
    public func has(_ name: String, _ token: String) -> Bool {
        list(name).contains { $0.lowercased() == token.lowercased() }
    }

    /// The path of a request's target, without its query.
    public var path: String { String(second.prefix { $0 != "?" }) }

    public var status: Int? { Int(second) }

    public func encoded(body: String = "") -> [UInt8] {
        let lines = ["\(first) \(second) \(third)"] + fields.map { "\($0.name): \($0.value)" }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }
}

/// Gathers bytes until a head is whole.
struct HTTPHeadParser: Sendable {
    /// Bytes of a head, its end included.
    static let limit = 16 << 10

    private var bytes: [UInt8] = []
    private var searched = 0

    /// - Returns: the head and the bytes after it; `nil` while it is not whole.
    /// - Throws: `BerthError` (`invalidArgument`) for a head that is none, or over the limit.
    mutating func receive(_ more: [UInt8]) throws -> (head: HTTPHead, rest: [UInt8])? {
        bytes += more
        let end: [UInt8] = [13, 10, 13, 10]
        var at = max(0, searched - 3)
        var found: Int?
        while found == nil, at + 4 <= min(bytes.count, Self.limit) {
            if bytes[at..<at + 4].elementsEqual(end) { found = at } else { at += 1 }
        }
        searched = at
        guard let found else {
            guard bytes.count <= Self.limit else {
                throw BerthError(.invalidArgument, "the head of the request is longer than \(Self.limit) bytes")
            }
            return nil
        }
        let rest = Array(bytes[(found + 4)...])
        return (try Self.parse(bytes[..<found]), rest)
    }

    private static func parse(_ bytes: ArraySlice<UInt8>) throws -> HTTPHead {
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) else {
            throw BerthError(.invalidArgument, "the head of the request is no text")
        }
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        let start = lines.removeFirst().split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard start.count >= 2, start[0].hasPrefix("HTTP/1.") || (start.count == 3 && start[2].hasPrefix("HTTP/1."))
        else { throw BerthError(.invalidArgument, "the first line of the request is not HTTP/1") }
        let fields = try lines.map { line throws -> HTTPHead.Field in
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex,
                !line[..<colon].contains(where: { $0 == " " || $0 == "\t" })
            else { throw BerthError(.invalidArgument, "header field \"\(line)\" has no name") }
            return HTTPHead.Field(String(line[..<colon]), line[line.index(after: colon)...].trimmingSpaces)
        }
        return HTTPHead(String(start[0]), String(start[1]), start.count == 3 ? String(start[2]) : "", fields)
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
