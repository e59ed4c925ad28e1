/// How a client shows who it is to one registry host.
public enum RegistryCredentials: Sendable, Hashable {
    case anonymous
    case basic(username: String, password: String)
    /// A refresh token, exchanged at the token server for short-lived ones (docker's "identity token").
    case identityToken(String)
    /// A bearer token that is sent as it is.
    case registryToken(String)

    /// RFC 7617.
    static func basicHeader(username: String, password: String) -> String {
        "Basic " + Base64.encode(Array("\(username):\(password)".utf8))
    }
}

/// RFC 4648, section 4; without Foundation.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for index in 0..<4 {
                text.append(index <= group.count ? alphabet[word >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
