internal import Core
private import Glibc

/// The environment of this process, as far as it is text.
enum ProcessEnvironment {
    static var current: [String: String] {
        var result: [String: String] = [:]
        for name in ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }
}

/// Which hosts are reached through a proxy: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` as curl and Go programs read them.
public struct ProxySettings: Sendable, Hashable {
    struct Login: Sendable, Hashable {
        var username: String
        var password: String
    }

    struct Proxy: Sendable, Hashable {
        var host: String
        var port: Int
        var login: Login?
    }

    private var http: Proxy?
    private var https: Proxy?
    private var exceptions: [Exception] = []
    /// Variables that could not be understood, for the log.
    private(set) var refused: [String] = []

    /// Everything is reached directly.
    public init() {}

    /// - Parameter environment: the small-letter names count before the others.
    public init(environment: [String: String]) {
        func variable(_ name: String) -> String? {
            [name.lowercased(), name].compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        func proxy(_ name: String) -> Proxy? {
            guard let text = variable(name) else { return nil }
            if let proxy = Proxy(text) { return proxy }
            refused.append(name)
            return nil
        }
        http = proxy("HTTP_PROXY")
        https = proxy("HTTPS_PROXY")
        exceptions = (variable("NO_PROXY") ?? "").split(whereSeparator: { $0 == "," || $0 == " " }).compactMap {
            Exception(String($0).lowercased())
        }
    }

    /// `nil` where the URL's host is reached directly; this machine always is.
    func proxy(for url: String) -> Proxy? {
        let isEncrypted = RegistryAddress.hasScheme(url, "https")
        guard let proxy = isEncrypted ? https : http else { return nil }
        let host = RegistryAddress.hostName(of: url)
        let authority = RegistryAddress.authority(of: url)
        let port = authority.split(separator: ":").last.flatMap { Int($0) } ?? (isEncrypted ? 443 : 80)
        guard !RegistryHost.isLocal(authority) else { return nil }
        return exceptions.contains { $0.covers(host, port: port) } ? nil : proxy
    }
}

extension ProxySettings.Proxy {
    /// `[http://][USER:PASSWORD@]HOST[:PORT][/]`
    fileprivate init?(_ text: String) {
        var rest = text[...]
        if let scheme = rest.firstRange(of: "://") {
            guard rest[..<scheme.lowerBound].lowercased() == "http" else { return nil }
            rest = rest[scheme.upperBound...]
        }
        rest = rest.prefix { !"/?#".contains($0) }
        var login: ProxySettings.Login?
        if let at = rest.lastIndex(of: "@") {
            let pair = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            login = .init(
                username: Self.unescaped(pair[0]), password: pair.count > 1 ? Self.unescaped(pair[1]) : "")
            rest = rest[rest.index(after: at)...]
        }
        let host = RegistryAddress.hostName(of: String(rest))
        let afterHost = rest.hasPrefix("[") ? rest.drop { $0 != "]" }.dropFirst() : rest.drop { $0 != ":" }
        var port = 80
        if !afterHost.isEmpty {
            guard afterHost.first == ":", let given = UInt16(afterHost.dropFirst()), given > 0 else { return nil }
            port = Int(given)
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
        (self.host, self.port, self.login) = (host, port, login)
    }

    /// RFC 3986, section 2.1.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// One word of `NO_PROXY`: `*`, a domain with what is below it, an address, or a range of addresses.
private struct Exception: Sendable, Hashable {
    private enum Pattern: Hashable {
        case everything
        case domain(String, isWithItself: Bool)
        case range([UInt8], bits: Int)
    }

    private var pattern: Pattern
    private var port: Int?

    init?(_ word: String) {
        var word = word
        if word == "*" {
            pattern = .everything
            return
        }
        let parts = word.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2 {
            guard let address = Self.address(String(parts[0])), let bits = Int(parts[1]),
                (0...address.count * 8).contains(bits)
            else { return nil }
            pattern = .range(address, bits: bits)
            return
        }
        // A colon alone: more than one is an IPv6 address without brackets.
        if word.filter({ $0 == ":" }).count == 1 || word.hasPrefix("["), let colon = word.lastIndex(of: ":"),
            let given = Int(word[word.index(after: colon)...])
        {
            port = given
            word = String(word[..<colon])
        }
        if word.hasPrefix("["), word.hasSuffix("]") { word = String(word.dropFirst().dropLast()) }
        if let address = Self.address(word) {
            pattern = .range(address, bits: address.count * 8)
            return
        }
        if word.hasPrefix("*.") { word.removeFirst() }
        let isWithItself = !word.hasPrefix(".")
        let name = isWithItself ? word : String(word.dropFirst())
        guard !name.isEmpty else { return nil }
        pattern = .domain(name, isWithItself: isWithItself)
    }

    func covers(_ host: String, port: Int) -> Bool {
        if let own = self.port, own != port { return false }
        switch pattern {
        case .everything: return true
        case .domain(let name, let isWithItself):
            return host.hasSuffix("." + name) || (isWithItself && host == name)
        case .range(let base, let bits):
            guard let address = Self.address(host), address.count == base.count else { return false }
            return (0..<bits).allSatisfy { bit in
                let mask = UInt8(0x80) >> UInt8(bit & 7)
                return address[bit >> 3] & mask == base[bit >> 3] & mask
            }
        }
    }

    /// 4 or 16 bytes.
    private static func address(_ text: String) -> [UInt8]? {
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: size)
            if inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }
}
