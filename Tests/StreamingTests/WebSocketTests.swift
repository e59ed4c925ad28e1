import Core
import Testing

@testable import Streaming

@Suite struct WebSocketTests {
    /// RFC 6455, section 5.7.
    private let maskedHello = hex("81 85  37 fa 21 3d  7f 9f 4d 51 58      text, FIN, 5 bytes masked by 37fa213d")

    @Test func exampleOfTheHandshake() {
        // RFC 6455, section 1.3.
        #expect(Upgrade.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func messageIsTheSameWhereverItIsSplit() throws {
        for cut in 0...maskedHello.count {
            var server = WebSocketMessages(isServer: true)
            var events = try server.receive(Array(maskedHello[..<cut]))
            events += try server.receive(Array(maskedHello[cut...]))
            #expect(events == [.message(Array("Hello".utf8), isText: true)])
        }
    }

    @Test func fragmentsAreOneMessageAndControlFramesComeBetweenThem() throws {
        var client = WebSocketMessages(isServer: false)
        let bytes = hex(
            """
            01 03 48 65 6c      text, not FIN: "Hel"
            89 01 78            PING "x"
            80 02 6c 6f         continuation, FIN: "lo"
            """)
        #expect(try client.receive(bytes) == [.message(Array("Hello".utf8), isText: true)])
        let pong = client.takeOutput()
        #expect(pong.count == 7)
        #expect(Array(pong[..<2]) == [0x8A, 0x81])
        #expect(pong[6] ^ pong[2] == 0x78)
    }

    @Test func sizesAreWrittenInTheShortestForm() {
        for (count, head) in [
            (125, [0x82, 125]), (126, [0x82, 126, 0, 126]), (65535, [0x82, 126, 255, 255]),
            (65536, [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] as [(Int, [UInt8])] {
            var server = WebSocketMessages(isServer: true)
            server.send([UInt8](repeating: 1, count: count), isText: false)
            let bytes = server.takeOutput()
            #expect(Array(bytes.prefix(head.count)) == head)
            #expect(bytes.count == head.count + count)
        }
    }

    @Test func closeIsAnsweredOnce() throws {
        var server = WebSocketMessages(isServer: true)
        #expect(try server.receive(hex("88 82  00 00 00 00  03 e8      close 1000")) == [.closed])
        #expect(server.takeOutput() == hex("88 02 03 e8"))
        server.close()
        server.send([1], isText: false)
        #expect(server.takeOutput().isEmpty)
    }

    @Test(arguments: [
        "81 05 48 65 6c 6c 6f                      not masked",
        "c1 80 00 00 00 00                         a reserved bit",
        "83 80 00 00 00 00                         opcode 3",
        "09 80 00 00 00 00                         a part of a PING",
        "89 fe 00 7e                               a PING of 126 bytes",
        "80 80 00 00 00 00                         a continuation of nothing",
        "82 ff 00 00 00 01 00 00 00 00             4 GiB",
        "82 ff ff ff ff ff ff ff ff ff             more than there is",
    ])
    func brokenFramesEndTheConnection(_ text: String) {
        var server = WebSocketMessages(isServer: true)
        #expect(throws: BerthError.self) { try server.receive(hex(text) + hex("00 00 00 00")) }
    }

    @Test func messageInEndlessPartsIsRefused() {
        var client = WebSocketMessages(isServer: false)
        let part = hex("7f 00 00 00 00 00 08 00 00").dropFirst(0)
        #expect(throws: BerthError.self) {
            _ = try client.receive([0x02, 0x7F, 0, 0, 0, 0, 0, 8, 0, 0] + [UInt8](repeating: 0, count: 8 << 16))
            for _ in 0..<3 {
                _ = try client.receive([0x00] + part + [UInt8](repeating: 0, count: 8 << 16))
            }
        }
    }

    // MARK: Channels

    private func message(_ bytes: [UInt8], isText: Bool = false) -> [UInt8] {
        var client = WebSocketMessages(isServer: false)
        client.send(bytes, isText: isText)
        return client.takeOutput()
    }

    @Test func firstByteIsTheChannel() throws {
        var server = ChannelFraming(isServer: true, channels: 0...4, isBase64: false, canEndChannels: false)
        #expect(try server.receive(message([0] + Array("in".utf8))) == [.data(stream: 0, Array("in".utf8))])
        #expect(try server.receive(message([7, 1])).isEmpty)
        #expect(try server.receive(message([])).isEmpty)
        // Version 4 has no way to say it.
        #expect(try server.receive(message([255, 0])).isEmpty)
        _ = server.send([0x6F, 0x6B], on: 1)
        #expect(server.takeOutput() == hex("82 03 01 6f 6b      binary, channel 1: ok"))
    }

    @Test func versionFiveEndsAChannel() throws {
        var server = ChannelFraming(isServer: true, channels: 0...4, isBase64: false, canEndChannels: true)
        #expect(try server.receive(message([255, 0])) == [.ended(stream: 0)])
        #expect(try server.receive(message([255, 0])).isEmpty)
        #expect(try server.receive(message([0, 1])).isEmpty)
        var client = ChannelFraming(isServer: false, channels: 0...4, isBase64: false, canEndChannels: true)
        client.end(0)
        #expect(try server.receive(client.takeOutput()).isEmpty)
    }

    @Test func base64VariantHasDigitsAndText() throws {
        var server = ChannelFraming(isServer: true, channels: 0...4, isBase64: true, canEndChannels: false)
        #expect(
            try server.receive(message(Array("0aGVsbG8=".utf8), isText: true)) == [
                .data(stream: 0, Array("hello".utf8))
            ])
        _ = server.send(Array("hello".utf8)[...], on: 1)
        #expect(server.takeOutput() == [0x81, 9] + Array("1aGVsbG8=".utf8))
        #expect(throws: BerthError.self) { try server.receive(message(Array("0*".utf8), isText: true)) }
    }

    @Test func base64OfEachLength() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            #expect(String(decoding: Base64.encode(Array(plain.utf8)), as: UTF8.self) == text)
            #expect(Base64.decode(Array(text.utf8)) == Array(plain.utf8))
        }
        for wrong in ["Z", "Zg=a", "Z g=", "Zg===", "Ä"] { #expect(Base64.decode(Array(wrong.utf8)) == nil) }
    }

    @Test func spdyGoesThroughATunnel() throws {
        var client = TunneledSPDY(isServer: false)
        var server = TunneledSPDY(isServer: true)
        let stream = try client.open(["streamtype": "data", "port": "80"])
        #expect(
            try server.receive(client.takeOutput())
                == [.opened(stream: stream, headers: ["streamtype": "data", "port": "80"])])
        #expect(try client.receive(server.takeOutput()) == [.accepted(stream: stream)])
        client.close()
        #expect(try server.receive(client.takeOutput()) == [.closed])
    }

    @Test func noiseIsHarmless() {
        var random = SeededGenerator(state: 7)
        for _ in 0..<2000 {
            var server = ChannelFraming(
                isServer: true, channels: 0...4, isBase64: .random(using: &random), canEndChannels: true)
            var bytes = maskedHello
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            _ = try? server.receive(bytes + (0..<40).map { _ in .random(in: 0...255, using: &random) })
        }
    }
}
