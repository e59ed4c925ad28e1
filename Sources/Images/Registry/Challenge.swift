internal import Core

/// What a registry asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1).
enum Challenge: Equatable {
    case basic
    /// Fetch a token at `realm` for `service` and `scope` (distribution-spec, token authentication).
    case bearer(realm: String, service: String?, scope: String?)

    /// The first challenge of all headers that can be answered; bearer before basic.
    static func parse(_ headers: [String]) -> Challenge? {
        let found = headers.flatMap { header in
            var scanner = ChallengeScanner(header)
            return scanner.challenges()
        }
        return found.first { $0 != .basic } ?? found.first
    }

    fileprivate init?(scheme: String, parameters: [String: String]) {
        switch scheme.lowercased() {
        case "basic": self = .basic
        case "bearer":
            guard let realm = parameters["realm"], !realm.isEmpty else { return nil }
            self = .bearer(realm: realm, service: parameters["service"], scope: parameters["scope"])
        default: return nil
        }
    }
}

/// `SCHEME key="quoted, value", key=token, OTHERSCHEME ...`: a word is a parameter if `=` follows it, else a scheme.
private struct ChallengeScanner {
    private let bytes: [UInt8]
    private var index = 0

    init(_ header: String) {
        bytes = Array(header.utf8)
    }

    mutating func challenges() -> [Challenge] {
        var found: [Challenge] = []
        while index < bytes.count {
            skipSeparators()
            let scheme = word()
            if scheme.isEmpty {
                // What cannot be understood is skipped: another challenge may follow.
                index += 1
            } else if let challenge = Challenge(scheme: scheme, parameters: parameters()) {
                found.append(challenge)
            }
        }
        return found
    }

    private mutating func parameters() -> [String: String] {
        var result: [String: String] = [:]
        var next = parameter()
        while let (key, value) = next {
            if result[key] == nil { result[key] = value }
            next = parameter()
        }
        return result
    }

    /// `nil`, and nothing taken, where no parameter follows.
    private mutating func parameter() -> (key: String, value: String)? {
        let start = index
        skipSeparators()
        let key = word().lowercased()
        skipSpaces()
        guard !key.isEmpty, index < bytes.count, bytes[index] == UInt8(ascii: "=") else {
            index = start
            return nil
        }
        index += 1
        skipSpaces()
        return (key, index < bytes.count && bytes[index] == UInt8(ascii: "\"") ? quoted() : unquoted())
    }

    private mutating func quoted() -> String {
        var value: [UInt8] = []
        index += 1
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            if bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count { index += 1 }
            value.append(bytes[index])
            index += 1
        }
        index += 1
        return String(decoding: value, as: UTF8.self)
    }

    /// Also what ought to be quoted, such as a URL.
    private mutating func unquoted() -> String {
        let rest = bytes[index...]
        let value = rest.prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        index = value.endIndex
        return String(decoding: value, as: UTF8.self)
    }

    private mutating func word() -> String {
        let word = bytes[min(index, bytes.count)...].prefix(while: Self.isWordByte)
        index = word.endIndex
        return String(decoding: word, as: UTF8.self)
    }

    private mutating func skipSeparators() {
        while index < bytes.count, [0x20, 0x09, UInt8(ascii: ",")].contains(bytes[index]) { index += 1 }
    }

    private mutating func skipSpaces() {
        while index < bytes.count, [0x20, 0x09].contains(bytes[index]) { index += 1 }
    }

    /// RFC 9110, section 5.6.2, "token".
    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
