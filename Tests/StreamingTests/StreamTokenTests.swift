import Core
import Testing

@testable import Streaming

@Suite struct StreamTokenTests {
    private let request = StreamRequest.portForward(sandbox: "p", ports: [])

    @Test func tokenIsGoodOnceAndForAMinute() throws {
        let tokens = StreamTokens()
        let start = ContinuousClock.now
        let token = try tokens.issue(request, now: start)
        #expect(token.count == 32)
        let other = (token.hasPrefix("0") ? "1" : "0") + token.dropFirst()
        #expect(tokens.redeem(other, now: start) == nil)
        #expect(tokens.redeem(token, now: start) != nil)
        #expect(tokens.redeem(token, now: start) == nil)
        let late = try tokens.issue(request, now: start)
        #expect(tokens.redeem(late, now: start.advanced(by: .seconds(60))) == nil)
    }

    @Test func outstandingTokensAreBoundedAndExpire() throws {
        let tokens = StreamTokens()
        let start = ContinuousClock.now
        for _ in 0..<StreamTokens.limit { _ = try tokens.issue(request, now: start) }
        let error = #expect(throws: BerthError.self) { try tokens.issue(request, now: start) }
        #expect(error?.code == .resourceExhausted)
        _ = try tokens.issue(request, now: start.advanced(by: .seconds(61)))
    }
}

@Suite struct CommandStatusTests {
    @Test func statusIsWhatClientsRead() throws {
        let text = { (status: CommandStatus) in String(decoding: status.json, as: UTF8.self) }
        #expect(text(.success) == #"{"metadata":{},"status":"Success"}"#)
        #expect(
            text(.exitCode(3))
                == #"{"details":{"causes":[{"message":"3","reason":"ExitCode"}]},"#
                + #""message":"command terminated with non-zero exit code: exit status 3","metadata":{},"#
                + #""reason":"NonZeroExitCode","status":"Failure"}"#)
        for status in [CommandStatus.success, .exitCode(137), .failure("a \"quoted\" / reason")] {
            #expect(try CommandStatus(json: status.json) == status)
        }
        #expect(throws: BerthError.self) { try CommandStatus(json: Array("no".utf8)) }
    }

    @Test func sizesComeInAnyPieces() throws {
        let bytes = Array(#"{"Width":80,"Height":24}\#n{"Width":100,"Height":30}\#n"#.utf8)
        for cut in 0...bytes.count {
            var parser = TerminalSizeParser()
            let sizes = [try parser.receive(Array(bytes[..<cut])), try parser.receive(Array(bytes[cut...]))]
            #expect(sizes.compactMap { $0 }.last == TerminalSize(columns: 100, rows: 30))
        }
        var parser = TerminalSizeParser()
        #expect(throws: BerthError.self) { try parser.receive(Array(#"{"Width":-1,"Height":1}"#.utf8)) }
        #expect(throws: BerthError.self) { try parser.receive([UInt8](repeating: 0x20, count: 2000)) }
    }
}

@Suite struct UpgradeTests {
    private func request(_ fields: [(String, String)], method: String = "POST") -> HTTPHead {
        .request(method, "/exec/x", fields.map { .init($0, $1) })
    }

    private func spdy(_ versions: String..., isPortForward: Bool = false) -> Result<Upgrade, HTTPRefusal> {
        let fields = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
        return Upgrade.negotiate(
            request(fields + versions.map { ("X-Stream-Protocol-Version", $0) }), isPortForward: isPortForward)
    }

    @Test func theClientsFirstChoiceThatIsKnownIsTaken() throws {
        let upgrade = try spdy("v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io").get()
        #expect(upgrade.transport == .spdy(.v4))
        #expect(upgrade.response.list("X-Stream-Protocol-Version") == ["v4.channel.k8s.io"])
        #expect(try spdy().get().transport == .spdy(.v1))
        #expect(try spdy("portforward.k8s.io", isPortForward: true).get().transport == .portForward)
    }

    @Test func refusalNamesWhatIsServed() {
        guard case .failure(let refusal) = spdy("v9") else {
            Issue.record("v9 was accepted")
            return
        }
        #expect(refusal.status == 403)
        #expect(refusal.fields.contains(.init("X-Accepted-Stream-Protocol-Versions", "v4.channel.k8s.io")))
    }

    @Test(arguments: [
        ("v5.channel.k8s.io", RemoteCommandProtocol.v5, false), ("v4.channel.k8s.io", .v4, false),
        ("v4.base64.channel.k8s.io", .v4, true), ("base64.channel.k8s.io", .v1, true),
        ("unknown, channel.k8s.io", .v1, false),
    ])
    func webSocketSubprotocols(_ asked: String, _ version: RemoteCommandProtocol, _ isBase64: Bool) throws {
        let head = request(
            [
                ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Protocol", asked),
            ], method: "GET")
        let upgrade = try Upgrade.negotiate(head, isPortForward: false).get()
        guard case .channels(let chosen) = upgrade.transport else {
            Issue.record("\(upgrade.transport)")
            return
        }
        #expect(chosen.version == version)
        #expect(chosen.isBase64 == isBase64)
        #expect(upgrade.response.list("Sec-WebSocket-Accept") == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])
    }

    @Test func requestsWithoutAnUpgradeAreRefused() {
        for fields in [[], [("Connection", "Upgrade")], [("Connection", "Upgrade"), ("Upgrade", "h2c")]] {
            guard case .failure(let refusal) = Upgrade.negotiate(request(fields), isPortForward: false) else {
                Issue.record("\(fields) was accepted")
                continue
            }
            #expect(refusal.status == 400)
        }
    }
}
