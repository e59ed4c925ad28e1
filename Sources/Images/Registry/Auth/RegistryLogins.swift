internal import Core
private import Glibc
internal import LinuxKernel
internal import OCISpec
public import SystemPackage

/// Logins of this machine's user, as `docker login`, `podman login` and `skopeo login` leave them: `config.json` or `auth.json`, with
/// credential helpers.
public struct RegistryLogins: Sendable {
    private static let sizeLimit = 4 << 20

    private let file: FilePath
    private let helperTimeout: Duration

    /// - Parameter file: need not exist.
    public init(file: FilePath, helperTimeout: Duration = .seconds(30)) {
        self.file = file
        self.helperTimeout = helperTimeout
    }

    private struct Document: Decodable {
        struct Entry: Decodable {
            var auth: String?
            var username: String?
            var password: String?
            var identitytoken: String?
            var registrytoken: String?
        }

        var auths: [String: Entry]?
        var credsStore: String?
        var credHelpers: [String: String]?
    }

    /// What to show the registry of references with this domain; `.anonymous` where nobody has logged in.
    ///
    /// - Throws: `BerthError` that names the file or the helper and never repeats a secret.
    public func credentials(for domain: String) async throws -> RegistryCredentials {
        let bytes: [UInt8]
        do {
            bytes = try Files.read(file, limit: Self.sizeLimit)
        } catch Errno.noSuchFileOrDirectory {
            return .anonymous
        } catch {
            throw BerthError(.failedPrecondition, "read \(file)", cause: error)
        }
        let document = try StrictJSON.decode(Document.self, from: bytes, what: "\(file)", limit: Self.sizeLimit)
        if let helper = Self.entry(of: domain, in: document.credHelpers ?? [:])?.value {
            return try await ask(helper, Self.serverName(of: domain))
        }
        if let (key, entry) = Self.entry(of: domain, in: document.auths ?? [:]) {
            if let known = try Self.credentials(entry, "\(file): auths.\(key)") { return known }
            // docker keeps the name here and the secret in the store.
            if let store = document.credsStore { return try await ask(store, key) }
            return .anonymous
        }
        if let store = document.credsStore { return try await ask(store, Self.serverName(of: domain)) }
        return .anonymous
    }

    /// Keys are hosts or, of docker's older versions, URLs.
    private static func entry<Value>(of domain: String, in table: [String: Value]) -> (key: String, value: Value)? {
        if let exact = table[domain] { return (domain, exact) }
        return table.sorted { $0.key < $1.key }.first { Self.domain(of: $0.key) == domain }
    }

    /// The domain in references that a server's address means.
    public static func domain(of address: String) -> String {
        var host = address[...]
        if let scheme = host.firstRange(of: "://") { host = host[scheme.upperBound...] }
        host = host.prefix { $0 != "/" }
        switch host {
        case "index.docker.io", "registry-1.docker.io": return "docker.io"
        default: return host.lowercased()
        }
    }

    /// Docker's name of Docker Hub.
    private static func serverName(of domain: String) -> String {
        domain == "docker.io" ? "https://index.docker.io/v1/" : domain
    }

    private static func credentials(_ entry: Document.Entry, _ what: String) throws -> RegistryCredentials? {
        func given(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
        if let token = given(entry.registrytoken) { return .registryToken(token) }
        if let token = given(entry.identitytoken) { return .identityToken(token) }
        if let username = given(entry.username), let password = given(entry.password) {
            return .basic(username: username, password: password)
        }
        guard let auth = given(entry.auth) else { return nil }
        guard let bytes = Base64.decode(auth), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
            throw BerthError(.invalidArgument, "\(what): auth is not the base64 form of USER:PASSWORD")
        }
        // Some writers fill the password up with zeros.
        let password = bytes[(colon + 1)...].reversed().drop { $0 == 0 }.reversed()
        return .basic(
            username: String(decoding: bytes[..<colon], as: UTF8.self),
            password: String(decoding: Array(password), as: UTF8.self))
    }

    // MARK: Credential helpers

    private struct Answer: Decodable {
        var Username: String?
        var Secret: String?
    }

    /// `docker-credential-NAME get`: the server's address in, JSON out (docker-credential-helpers).
    private func ask(_ name: String, _ server: String) async throws -> RegistryCredentials {
        let what = "credential helper \(name)"
        guard !name.isEmpty, !name.contains("/"), let executable = Self.find("docker-credential-\(name)") else {
            throw BerthError(.failedPrecondition, "\(file): there is no program docker-credential-\(name) on PATH")
        }
        let environment = BoundedProgram.environment([
            "PATH", "HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "USER",
        ])
        let result: BoundedProgram.Output = try await BoundedProgram(executable, timeout: helperTimeout).run(
            arguments: ["get"], environment: environment, input: Array(server.utf8))
        guard result.status == .exited(0) else {
            let said = RegistryAddress.printable(String(decoding: result.output, as: UTF8.self), limit: 200)
            // What every helper says when nobody has logged in there.
            if said.lowercased().contains("credentials not found") { return .anonymous }
            throw BerthError(.failedPrecondition, "\(what) for \(server) \(result.status.ending): \(said)")
        }
        let answer: Answer
        do {
            answer = try StrictJSON.decode(Answer.self, from: result.output, what: what, limit: 64 << 10)
        } catch {
            // The answer may hold a secret: it is not repeated.
            throw BerthError(.failedPrecondition, "\(what) for \(server) answered what is no JSON of its kind")
        }
        guard let username = answer.Username, let secret = answer.Secret, !secret.isEmpty else { return .anonymous }
        return username == "<token>" ? .identityToken(secret) : .basic(username: username, password: secret)
    }

    private static func find(_ name: String) -> FilePath? {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").lazy.map { FilePath("\($0)/\(name)") }.first { path in
            guard let status = try? Syscall.stat(path, follow: true) else { return false }
            return status.kind == .regular && status.mode & 0o111 != 0
        }
    }
}

extension Base64 {
    /// `nil` for what is none; the padding may be missing.
    static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var word: UInt32 = 0
        var bits = 0
        for byte in text.utf8.reversed().drop(while: { $0 == UInt8(ascii: "=") }).reversed() {
            guard let value = value(byte) else { return nil }
            word = word << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
            }
        }
        return bits == 6 ? nil : bytes
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
