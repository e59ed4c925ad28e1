internal import Core

/// What a registry asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1).
enum Challenge: Equatable {
    case basic
    /// Fetch a token at `realm` for `service` and `scope` (distribution-spec, token authentication).
    case bearer(realm: String, service: String?, scope: String?)

    /// The first challenge in `header` that we can answer; bearer before basic.
    static func parse(_ headers: [String]) -> Challenge? {
        let found = headers.compactMap(parse)
        return found.first { $0 != .basic } ?? found.first
    }

    private static func parse(_ header: String) -> Challenge? {
        let parts = header.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard let scheme = parts.first?.lowercased() else { return nil }
        let parameters = parts.count > 1 ? parameters(parts[1]) : [:]
        switch scheme {
        case "basic": return .basic
        case "bearer":
            guard let realm = parameters["realm"] else { return nil }
            return .bearer(realm: realm, service: parameters["service"], scope: parameters["scope"])
        default: return nil
        }
    }

    /// `key="quoted, value", key=token, ...`
    private static func parameters(_ text: Substring) -> [String: String] {
        var result: [String: String] = [:]
        var rest = text[...]
        while let equals = rest.firstIndex(of: "=") {
            let key = rest[..<equals].filter { $0 != " " && $0 != "," }.lowercased()
            rest = rest[rest.index(after: equals)...]
            var value = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while let character = rest.popFirst(), character != "\"" {
                    if character == "\\", let escaped = rest.popFirst() {
                        value.append(escaped)
                    } else {
                        value.append(character)
                    }
                }
            } else {
                let end = rest.firstIndex(of: ",") ?? rest.endIndex
                value = String(rest[..<end])
                rest = rest[end...]
            }
            if result[key] == nil { result[key] = value }
        }
        return result
    }
}
