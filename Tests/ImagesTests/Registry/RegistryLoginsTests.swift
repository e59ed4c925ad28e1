internal import Core
internal import TestSupport
internal import Testing

@testable internal import Images

/// What docker, podman and skopeo leave of logins.
struct RegistryLoginsTests {
    private static let file = """
        {"auths": {
            "https://index.docker.io/v1/": {"auth": "\(Base64.encode(Array("hub:secret".utf8)))"},
            "quay.io": {"username": "q", "password": "p:w"},
            "token.example": {"identitytoken": "refresh"},
            "bearer.example:5000": {"registrytoken": "t"},
            "empty.example": {},
            "broken.example": {"auth": "%%%"}
        }, "credHelpers": {"helped.example": "good", "absent.example": "none-such", "bad.example": "bad"}, "other": 1}
        """

    @Test(
        "each registry gets its own login, and no other",
        arguments: [
            ("docker.io", RegistryCredentials.basic(username: "hub", password: "secret")),
            ("quay.io", .basic(username: "q", password: "p:w")), ("token.example", .identityToken("refresh")),
            ("bearer.example:5000", .registryToken("t")), ("bearer.example", .anonymous), ("empty.example", .anonymous),
            ("evil.quay.io", .anonymous),
        ])
    func entries(domain: String, expected: RegistryCredentials) async throws {
        let scratch = try ScratchDirectory("logins")
        let logins = RegistryLogins(file: try scratch.file("config.json", Self.file))
        #expect(try await logins.credentials(for: domain) == expected)
    }

    @Test("no file is nobody; a broken one is named without its secrets")
    func broken() async throws {
        let scratch = try ScratchDirectory("logins")
        let absent = RegistryLogins(file: scratch.appending("absent.json"))
        #expect(try await absent.credentials(for: "quay.io") == .anonymous)
        let logins = RegistryLogins(file: try scratch.file("config.json", Self.file))
        let error = await failure { _ = try await logins.credentials(for: "broken.example") }
        #expect(error?.description.contains("auths.broken.example") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("%%%") == false)
        let missing = await failure { _ = try await logins.credentials(for: "absent.example") }
        #expect(missing?.description.contains("docker-credential-none-such") == true)
    }

    @Test("a program is bounded in time and output, and what it leaves running ends with it")
    func programs() async throws {
        let scratch = try ScratchDirectory("program")
        let script = try scratch.file(
            "script",
            "#!/bin/sh\ncase $1 in cat) cat;; many) head -c 300000 /dev/zero;; fail) echo no >&2; exit 3;; esac\n"
                + "[ $1 != hang ] || { sleep 1000 & sleep 1000; }\n", mode: 0o755)
        let program = BoundedProgram(script, timeout: .seconds(20))
        let echo = try await program.run(arguments: ["cat"], environment: [], input: Array("in".utf8))
        #expect(echo.status == .exited(0))
        #expect(echo.output == Array("in".utf8))
        let many = try await program.run(arguments: ["many"], environment: [], input: [])
        #expect(many.status == .exited(0))
        #expect(many.output.count == program.outputLimit)
        #expect(many.isTruncated)
        let failing = try await program.run(arguments: ["fail"], environment: [], input: [])
        #expect(failing.status == .exited(3))
        #expect(failing.errors == Array("no\n".utf8))
        let begin = ContinuousClock.now
        let short = BoundedProgram(script, timeout: .milliseconds(200))
        let late = await failure { _ = try await short.run(arguments: ["hang"], environment: [], input: []) }
        #expect(late?.code == .deadlineExceeded)
        let task = Task { try await program.run(arguments: ["hang"], environment: [], input: []) }
        try await Task.sleep(for: .milliseconds(100))
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(ContinuousClock.now - begin < .seconds(10))
        let none = await failure {
            _ = try await BoundedProgram(scratch.appending("none"), timeout: .seconds(1))
                .run(arguments: [], environment: [], input: [])
        }
        #expect(none?.code == .failedPrecondition)
    }

    @Test("base64 is read with and without padding", arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func base64(text: String) {
        let encoded = Base64.encode(Array(text.utf8))
        #expect(Base64.decode(encoded) == Array(text.utf8))
        #expect(Base64.decode(encoded.filter { $0 != "=" }) == Array(text.utf8))
        #expect(Base64.decode(encoded + "*") == nil)
    }
}
