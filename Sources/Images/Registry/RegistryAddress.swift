internal import Core

/// What of URLs and of text from servers registries need; without Foundation.
enum RegistryAddress {
    /// `scheme://host:port` of a URL.
    static func origin(of url: String) -> Substring {
        guard let scheme = url.firstRange(of: "://") else { return url[...] }
        let end = url[scheme.upperBound...].firstIndex { "/?#\\".contains($0) } ?? url.endIndex
        return url[..<end]
    }

    /// `host:port` of a URL, as written.
    static func authority(of url: String) -> String {
        let origin = origin(of: url)
        guard let scheme = origin.firstRange(of: "://") else { return String(origin) }
        return String(origin[scheme.upperBound...])
    }

    /// The host of a URL without its port, in small letters.
    static func hostName(of url: String) -> String {
        let authority = authority(of: url).lowercased()
        if authority.hasPrefix("[") { return String(authority.prefix { $0 != "]" }.dropFirst()) }
        return String(authority.prefix { $0 != ":" })
    }

    static func hasScheme(_ url: String, _ scheme: String) -> Bool {
        url.prefix(scheme.count + 3).lowercased() == scheme + "://"
    }

    /// The URL of a `Location`, which may be relative (RFC 9110, section 10.2.2).
    ///
    /// - Throws: `BerthError` for what is neither http nor https.
    static func resolve(_ location: String, against url: String) throws -> String {
        if hasScheme(location, "http") || hasScheme(location, "https") { return location }
        if location.hasPrefix("//") { return url.prefix { $0 != ":" } + ":" + location }
        if location.hasPrefix("/") { return origin(of: url) + location }
        let firstPart = location.prefix { !"/?#".contains($0) }
        guard !location.isEmpty, !firstPart.contains(":") else {
            throw BerthError(.unavailable, "redirect to \"\(printable(location, limit: 200))\" is not understood")
        }
        let path = url.prefix { !"?#".contains($0) }
        if location.hasPrefix("?") { return path + location }
        guard path.utf8.count > origin(of: url).utf8.count, let slash = path.lastIndex(of: "/") else {
            return "\(origin(of: url))/\(location)"
        }
        return path[...slash] + location
    }

    /// Without the query, which may hold a signature that is as good as a password.
    static func shown(_ url: String) -> String {
        printable(String(url.prefix { !"?#".contains($0) }), limit: 300)
    }

    /// Fields as `application/x-www-form-urlencoded`, which serves as a query too.
    static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\($0.0)=\(escaped($0.1))" }.joined(separator: "&")
    }

    private static func escaped(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF")
        return text.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            let plain = character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
            return plain ? String(character) : "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
        }.joined()
    }

    /// Text of a server for a message on a terminal: nothing that moves the cursor or turns the writing direction.
    static func printable(_ text: some StringProtocol, limit: Int = 500) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(limit) {
            let isSafe: Bool =
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
                default: true
                }
            result.append(isSafe ? scalar : "?")
        }
        return String(result)
    }
}
