internal import Core

/// A host that may be asked for a repository's content: the registry itself or a mirror of it.
struct RegistryHost: Sendable, Hashable {
    /// For messages: `docker.io`, `mirror.example.org:5000`.
    let name: String
    /// `https://HOST[:PORT][/PREFIX]`, without a slash at the end.
    let address: String
    var isMirror: Bool
    /// The registry that is meant: a mirror of several is told which.
    var domain = ""
    var capabilities = HostCapabilities.all
    var trust = HostTrust.system
    /// They go with every request to this host, and to no other.
    var headers: [HostHeader] = []
    /// `address` has the API's path in it already.
    var overridesPath = false
    /// Seconds until a connection has to be there.
    var dialTimeout: Double?

    var isPlain: Bool { address.hasPrefix("http://") }
    var title: String { "\(isMirror ? "mirror" : "registry") \(name)" }
    var origin: Substring { RegistryAddress.origin(of: address) }

    /// Where the API begins (distribution-spec, "Endpoints").
    var api: String { overridesPath || address.hasSuffix("/v2") ? address : "\(address)/v2" }

    /// The same host with TLS.
    var encrypted: RegistryHost {
        guard isPlain else { return self }
        var host = RegistryHost(
            name: name, address: "https://" + address.dropFirst("http://".count), isMirror: isMirror)
        host.trust = trust
        return host
    }

    private init(name: String, address: String, isMirror: Bool) {
        (self.name, self.address, self.isMirror) = (name, address, isMirror)
    }

    /// The registry of references with this domain.
    init(domain: String, configuration: RegistryClient.Configuration) {
        name = domain
        isMirror = false
        let isPlain =
            configuration.plainHTTP.contains(domain)
            || (Self.isLocal(domain) && !configuration.insecureTLS.contains(domain))
        address = "\(isPlain ? "http" : "https")://\(Self.apiHost(of: domain))"
        self.domain = domain
        trust.skipsVerification = configuration.insecureTLS.contains(domain)
    }

    /// - Parameter mirror: `[http[s]://]HOST[:PORT][/PREFIX]`
    /// - Throws: `BerthError` (`invalidArgument`)
    init(mirror: String, configuration: RegistryClient.Configuration) throws {
        var address = mirror
        while address.hasSuffix("/") { address.removeLast() }
        if !address.contains("://") {
            let host = String(address.prefix { $0 != "/" })
            address = RegistryHost(domain: host, configuration: configuration).scheme + "://" + address
        }
        let host = RegistryAddress.authority(of: address)
        guard RegistryAddress.hasScheme(address, "http") || RegistryAddress.hasScheme(address, "https"),
            Self.isHost(host),
            address.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), !address.contains(where: { "?#\\\"".contains($0) })
        else {
            throw BerthError.invalid(
                field: "mirror", value: RegistryAddress.printable(mirror),
                rule: "must be HOST[:PORT], or a URL of http or https without query")
        }
        name = host
        isMirror = true
        self.address =
            RegistryAddress.origin(of: address).lowercased()
            + address.dropFirst(RegistryAddress.origin(of: address).count)
        trust.skipsVerification = configuration.insecureTLS.contains { $0.lowercased() == host.lowercased() }
    }

    private var scheme: String { isPlain ? "http" : "https" }

    /// Docker Hub's API has another name than its images.
    static func apiHost(of domain: String) -> String {
        domain == "docker.io" ? "registry-1.docker.io" : domain
    }

    /// Whether a host with optional port is this machine.
    static func isLocal(_ domain: String) -> Bool {
        let host =
            domain.hasPrefix("[")
            ? String(domain.prefix { $0 != "]" }.dropFirst()) : String(domain.prefix { $0 != ":" })
        return host == "localhost" || host == "::1"
            || (host.hasPrefix("127.")
                && host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) })
    }

    private static func isHost(_ text: String) -> Bool {
        guard let first = text.first, text.utf8.allSatisfy(isHostByte) else { return false }
        let port: Substring
        if first == "[" {
            guard let end = text.firstIndex(of: "]") else { return false }
            port = text[end...].dropFirst()
        } else {
            port = text.drop { $0 != ":" }
        }
        return first != ":" && (port.isEmpty || (port.first == ":" && UInt16(port.dropFirst()) != nil))
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "-.:[]_".utf8.contains(byte)
        }
    }
}
