public import Core

/// A name of an image in a registry: `HOST/REPOSITORY[:TAG][@DIGEST]`.
///
/// Short names are completed as Docker does: `nginx` is `docker.io/library/nginx`, without tag and digest it means `latest`.
public struct ImageReference: Hashable, Sendable {
    /// Registry host with optional port, as written: `docker.io`, `localhost:5000`, `[::1]:5000`.
    public let domain: String
    /// Repository below the host: `library/nginx`.
    public let repository: String
    public let tag: String?
    public let digest: Digest?

    /// - Throws: `BerthError` (`invalidArgument`) that names the reference and the rule it breaks.
    public init(_ text: String) throws {
        func refuse(_ rule: String) -> BerthError {
            BerthError.invalid(field: "image reference", value: text.prefix(256), rule: rule)
        }
        guard !text.isEmpty else { throw refuse("must not be empty") }
        guard text.utf8.count <= 1024 else { throw refuse("is longer than 1024 bytes") }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7f }) else {
            throw refuse("must not have spaces, control or non-ASCII characters")
        }

        var rest = Substring(text)
        var digest: Digest?
        if let at = rest.firstIndex(of: "@") {
            do {
                digest = try Digest(String(rest[rest.index(after: at)...]))
            } catch {
                throw refuse("has a malformed digest")
            }
            rest = rest[..<at]
        }

        var domain = "docker.io"
        var path = rest
        if let slash = rest.firstIndex(of: "/"), Self.looksLikeHost(rest[..<slash]) {
            domain = String(rest[..<slash])
            path = rest[rest.index(after: slash)...]
            guard Self.isHost(domain) else { throw refuse("has a malformed registry host") }
        }
        var tag: String?
        if let colon = path.lastIndex(of: ":") {
            let value = String(path[path.index(after: colon)...])
            guard Self.isTag(value) else {
                throw refuse("has a malformed tag: 1 to 128 of [A-Za-z0-9_.-], not starting with . or -")
            }
            tag = value
            path = path[..<colon]
        }
        if domain == "index.docker.io" { domain = "docker.io" }
        var repository = String(path)
        if domain == "docker.io", !repository.contains("/"), !repository.isEmpty {
            repository = "library/\(repository)"
        }
        guard Self.isRepository(repository) else {
            throw refuse("has a malformed repository: lower-case [a-z0-9] words joined by . _ __ - or /")
        }
        guard domain.utf8.count + 1 + repository.utf8.count <= 255 else {
            throw refuse("has a name longer than 255 bytes")
        }
        let isBareDigest = rest.utf8.count == 64 && rest.utf8.allSatisfy(Self.isHexByte)
        guard !isBareDigest else { throw refuse("must not be 64 hexadecimal digits, which would be an image ID") }
        self.domain = domain
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    private init(domain: String, repository: String, tag: String?, digest: Digest?) {
        self.domain = domain
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// `HOST/REPOSITORY`
    public var name: String { "\(domain)/\(repository)" }

    /// The tag that a pull without digest asks for.
    public var effectiveTag: String { tag ?? "latest" }

    /// With the tag `latest` where there was neither tag nor digest.
    public var withDefaultTag: ImageReference {
        guard tag == nil, digest == nil else { return self }
        return ImageReference(domain: domain, repository: repository, tag: "latest", digest: nil)
    }

    /// The same repository by digest, without the tag.
    public func pinned(to digest: Digest) -> ImageReference {
        ImageReference(domain: domain, repository: repository, tag: nil, digest: digest)
    }
}

extension ImageReference: CustomStringConvertible {
    /// The whole reference: host, repository, and tag and digest as far as given.
    public var description: String {
        var text = name
        if let tag { text += ":\(tag)" }
        if let digest { text += "@\(digest)" }
        return text
    }
}

extension ImageReference {
    /// The first path component is a host if it could not be part of a Docker Hub repository.
    private static func looksLikeHost(_ text: Substring) -> Bool {
        text == "localhost" || text.contains(".") || text.contains(":")
            || text.utf8.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
    }

    private static func isHost(_ text: String) -> Bool {
        var host = Substring(text)
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return false }
            let address = host[host.index(after: host.startIndex)..<end].utf8
            guard !address.isEmpty,
                address.allSatisfy({ isHexByte($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") })
            else { return false }
            host = host[host.index(after: end)...]
            return host.isEmpty || (host.first == ":" && isPort(host.dropFirst()))
        }
        if let colon = host.firstIndex(of: ":") {
            guard isPort(host[host.index(after: colon)...]) else { return false }
            host = host[..<colon]
        }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isPort(_ text: Substring) -> Bool {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return false
        }
        return UInt16(text) != nil
    }

    private static func isTag(_ text: String) -> Bool {
        guard (1...128).contains(text.utf8.count), let first = text.utf8.first else { return false }
        return (isAlphanumeric(first) || first == UInt8(ascii: "_"))
            && text.utf8.allSatisfy {
                isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
            }
    }

    private static func isRepository(_ text: String) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { component in
            var separators = ""
            var sawWord = false
            for character in component.unicodeScalars {
                if ("a"..."z").contains(character) || ("0"..."9").contains(character) {
                    guard separators.isEmpty || (sawWord && isSeparator(separators)) else { return false }
                    separators = ""
                    sawWord = true
                } else {
                    separators.unicodeScalars.append(character)
                }
            }
            return sawWord && separators.isEmpty
        }
    }

    private static func isSeparator(_ text: String) -> Bool {
        text == "." || text == "_" || text == "__" || text.allSatisfy { $0 == "-" }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: false
        }
    }

    private static func isHexByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x61...0x66, 0x41...0x46: true
        default: false
        }
    }
}
