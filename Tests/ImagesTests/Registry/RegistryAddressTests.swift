internal import Core
internal import Testing

@testable internal import Images

struct RegistryAddressTests {
    @Test(
        "a Location is resolved against the address that sent it",
        arguments: [
            ("https://b/x", "https://b/x"), ("HTTP://b/x", "HTTP://b/x"), ("//b/x", "https://b/x"),
            ("/x?y", "https://a:1/x?y"), ("z", "https://a:1/v2/z"), ("?n=1", "https://a:1/v2/blob?n=1"),
            ("./z:1", "https://a:1/v2/./z:1"),
        ])
    func location(location: String, expected: String) throws {
        #expect(try RegistryAddress.resolve(location, against: "https://a:1/v2/blob?old=1") == expected)
    }

    @Test(
        "schemes that are no HTTP are refused", arguments: ["file:///etc/passwd", "http+unix://%2fx/y", "unix:/x", ""])
    func otherSchemes(location: String) {
        #expect(throws: BerthError.self) { try RegistryAddress.resolve(location, against: "https://a/v2/blob") }
    }

    @Test(
        "two addresses have one origin only if scheme, host and port are the same",
        arguments: [
            "http://a:1/v2/", "https://a/v2/", "https://a:1@evil/v2/", "https://a:1.evil/", "https://a:1\\@evil/",
            "https://a:11/",
        ])
    func otherOrigin(url: String) {
        #expect(
            RegistryAddress.origin(of: url) != RegistryAddress.origin(of: "https://a:1/v2/x")
                || url.hasPrefix("https://a:1\\"))
    }

    @Test("fields are escaped byte by byte")
    func form() {
        #expect(
            RegistryAddress.form([("scope", "repository:a/b:pull"), ("s", "ä &=+~")])
                == "scope=repository%3Aa%2Fb%3Apull&s=%C3%A4%20%26%3D%2B~")
    }

    @Test("a server's words cannot move the cursor or turn the line")
    func printable() {
        #expect(RegistryAddress.printable("a\u{1b}[2J\u{202e}b\u{7f}\r\nä") == "a?[2J?b???ä")
        #expect(RegistryAddress.shown("https://a/b?X-Amz-Signature=secret") == "https://a/b")
    }

    @Test(
        "base64 as in RFC 4648, section 10",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func base64(text: String, expected: String) {
        #expect(Base64.encode(Array(text.utf8)) == expected)
    }
}

struct RegistryHostTests {
    private var configuration: RegistryClient.Configuration {
        var configuration = RegistryClient.Configuration()
        configuration.plainHTTP = ["plain:5000"]
        configuration.insecureTLS = ["127.0.0.1:5001"]
        return configuration
    }

    @Test(
        "where a registry is asked",
        arguments: [
            ("docker.io", "https://registry-1.docker.io"), ("ghcr.io", "https://ghcr.io"),
            ("plain:5000", "http://plain:5000"),
            ("localhost:5000", "http://localhost:5000"), ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("127.0.0.1:5001", "https://127.0.0.1:5001"), ("127.evil.org", "https://127.evil.org"),
        ])
    func registry(domain: String, address: String) {
        #expect(RegistryHost(domain: domain, configuration: configuration).address == address)
    }

    @Test(
        "where a mirror is asked",
        arguments: [
            ("m.org", "https://m.org"), ("m.org:5000/", "https://m.org:5000"), ("plain:5000", "http://plain:5000"),
            ("http://m.org", "http://m.org"), ("HTTPS://M.org/Hub/", "https://m.org/Hub"),
            ("127.0.0.1:7", "http://127.0.0.1:7"),
        ])
    func mirror(text: String, address: String) throws {
        #expect(try RegistryHost(mirror: text, configuration: configuration).address == address)
    }

    @Test(
        "what is no mirror is named with its registry",
        arguments: [
            "", "https://", "https://:80", "m.org:", "m.org:x", "[::1", "ftp://m.org", "https://user@m.org",
            "https://m.org?x", "m org", "https://m.org/#a",
            "https://m.org\\x",
        ])
    func badMirror(text: String) {
        var configuration = RegistryClient.Configuration()
        configuration.mirrors = ["docker.io": ["https://good.org", text]]
        let error = #expect(throws: BerthError.self) { try configuration.validate() }
        #expect(error?.code == .invalidArgument)
        #expect(error?.description.contains("docker.io") == true)
    }
}
