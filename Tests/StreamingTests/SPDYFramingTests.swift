import Core
import Testing

@testable import Streaming

@Suite struct SPDYFramingTests {
    @Test func dictionaryIsTheOneOfTheSpecification() {
        #expect(SPDYDictionary.bytes.count == 1423)
        #expect(adler32(SPDYDictionary.bytes) == 0xE3C6_A7C2)
    }

    /// RFC 1950, section 8.2: what zlib writes into the head of a stream with a dictionary.
    private func adler32(_ bytes: [UInt8]) -> UInt32 {
        var (a, b) = (UInt32(1), UInt32(0))
        for byte in bytes {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        return b << 16 | a
    }

    /// Bytes that another zlib made: two header blocks, the second one of which refers to the first.
    private let opening = hex(
        """
        80 03 00 01  00 00 00 28            control, version 3, SYN_STREAM, no flags, length
        00 00 00 01  00 00 00 00  00 00     stream 1, no associated stream, priority 0
        78 f9 e3 c6 a7 c2 02 a6 23 46 70 3a 2b 29 4a 4d
        cc 85 16 25 ac a9 a0 80 06 00 00 00 ff ff
        80 03 00 01  00 00 00 17
        00 00 00 03  00 00 00 00  00 00
        c2 2e 55 5c 02 cc 2e 00 00 00 00 ff ff
        """)

    @Test func streamsThatAClientOpensAreAnswered() throws {
        var server = SPDYFraming(isServer: true)
        let events = try server.receive(opening)
        #expect(
            events == [
                .opened(stream: 1, headers: ["streamtype": "error"]),
                .opened(stream: 3, headers: ["streamtype": "stdin"]),
            ])
        let answer = server.takeOutput()
        // SYN_REPLY for stream 1.
        #expect(Array(answer[0..<4]) == [0x80, 0x03, 0x00, 0x02])
        #expect(Array(answer[8..<12]) == [0, 0, 0, 1])
    }

    @Test func framesAreTheSameWhereverTheyAreSplit() throws {
        let bytes = opening + hex("00 00 00 03  01 00 00 02  68 69      data on stream 3, FIN, 2 bytes")
        for cut in 0...bytes.count {
            var server = SPDYFraming(isServer: true)
            var events = try server.receive(Array(bytes[..<cut]))
            events += try server.receive(Array(bytes[cut...]))
            var text: [UInt8] = []
            for case .data(3, let part) in events { text += part }
            #expect(text == Array("hi".utf8))
            #expect(events.last == .ended(stream: 3))
        }
    }

    @Test func pingOfTheClientIsReturned() throws {
        var server = SPDYFraming(isServer: true)
        let ping = hex("80 03 00 06  00 00 00 04  00 00 00 07     PING 7")
        #expect(try server.receive(ping).isEmpty)
        #expect(server.takeOutput() == ping)
        // The answer to one of the server's own, which it never sent.
        _ = try server.receive(hex("80 03 00 06  00 00 00 04  00 00 00 08"))
        #expect(server.takeOutput().isEmpty)
    }

    @Test func unknownFramesAndGoAwayAreTaken() throws {
        var server = SPDYFraming(isServer: true)
        _ = try server.receive(hex("80 03 00 0b  00 00 00 02  00 00       type 11"))
        _ = try server.receive(hex("80 03 00 07  00 00 00 08  00 00 00 00  00 00 00 00      GOAWAY"))
        #expect(try server.receive(opening).count == 2)
    }

    @Test func dataOfAStreamThatWasNeverOpenedIsReset() throws {
        var server = SPDYFraming(isServer: true)
        #expect(try server.receive(hex("00 00 00 05  00 00 00 01  61")).isEmpty)
        #expect(
            server.takeOutput()
                == hex("80 03 00 03  00 00 00 08  00 00 00 05  00 00 00 02     RST_STREAM 5, INVALID_STREAM"))
    }

    @Test func aClientThatCountsWindowsKeepsToTheServersFromItsFirstByte() throws {
        var client = SPDYFraming(isServer: false)
        var server = SPDYFraming(isServer: true)
        let stream = try client.open([:])
        _ = try server.receive(client.takeOutput())
        #expect(try client.receive(server.takeOutput()) == [.accepted(stream: stream)])
        let bytes = [UInt8](repeating: 0, count: 2 * SPDYFraming.defaultWindow)
        var sent = 0
        while sent < bytes.count, client.canSend(on: stream) { sent += client.send(bytes[sent...], on: stream) }
        #expect(sent == SPDYFraming.defaultWindow)
    }

    @Test func aStreamEndsOnceAndIsNotAcceptedByWhoOpenedIt() throws {
        let compressor = HeaderCompressor()
        func block() throws -> [UInt8] { try compressor.compress(SPDYHeaderBlock.encode([:])) }
        let frames: [SPDYFrame] = [
            .openStream(id: 1, block: try block(), end: true), .reply(id: 1, block: try block(), end: true),
            .headers(id: 1, block: try block(), end: true),
        ]
        var server = SPDYFraming(isServer: true)
        let events = try server.receive(frames.flatMap(\.encoded))
        #expect(events == [.opened(stream: 1, headers: [:]), .ended(stream: 1)])
    }

    @Test(arguments: [
        "80 02 00 01  00 00 00 00                                        version 2",
        "80 03 00 01  00 01 00 01                                        a control frame over the bound",
        "80 03 00 03  00 00 00 04  00 00 00 01                           RST_STREAM without a status",
        "80 03 00 01  00 00 00 0e  00 00 00 01  00 00 00 00  00 00  de ad be ef   no zlib",
    ])
    func brokenFramesEndTheConnection(_ text: String) {
        var server = SPDYFraming(isServer: true)
        #expect(throws: BerthError.self) { try server.receive(hex(text)) }
    }

    @Test func headerBlockThatUnpacksOverTheBoundIsRefused() throws {
        let block = try HeaderCompressor().compress(
            SPDYHeaderBlock.encode(["a": String(repeating: "x", count: 100_000)]))
        let frame = SPDYFrame.openStream(id: 1, block: block, end: false).encoded
        #expect(frame.count < 2000)
        var server = SPDYFraming(isServer: true)
        #expect(throws: BerthError.self) { try server.receive(frame) }
    }

    @Test func streamsOverTheBoundAreRefused() throws {
        var client = SPDYFraming(isServer: false)
        var server = SPDYFraming(isServer: true)
        for _ in 0..<SPDYFraming.streamLimit { _ = try client.open([:]) }
        #expect(throws: BerthError.self) { try client.open([:]) }
        #expect(try server.receive(client.takeOutput()).count == SPDYFraming.streamLimit)
        // A client that keeps no count of its own.
        _ = server.takeOutput()
        var other = SPDYFraming(isServer: true)
        let blocks = HeaderCompressor()
        for index in 0...UInt32(SPDYFraming.streamLimit) {
            let frame = SPDYFrame.openStream(
                id: 2 * index + 1, block: try blocks.compress(SPDYHeaderBlock.encode([:])), end: false)
            let events = try other.receive(frame.encoded)
            #expect(events.isEmpty == (index == UInt32(SPDYFraming.streamLimit)))
        }
    }

    // MARK: Two ends

    private struct Pair {
        var client = SPDYFraming(isServer: false)
        var server = SPDYFraming(isServer: true)

        mutating func toServer() throws -> [FramingEvent] { try server.receive(client.takeOutput()) }
        mutating func toClient() throws -> [FramingEvent] { try client.receive(server.takeOutput()) }
    }

    @Test func halfClosedStreamStillCarriesTheOtherDirection() throws {
        var pair = Pair()
        let stream = try pair.client.open(["streamtype": "stdin"])
        _ = try pair.toServer()
        #expect(try pair.toClient() == [.accepted(stream: stream)])
        pair.client.end(stream)
        #expect(try pair.toServer() == [.ended(stream: stream)])
        #expect(pair.client.send([1, 2], on: stream) == 2)
        #expect(try pair.toServer().isEmpty)
        #expect(pair.server.send([3], on: stream) == 1)
        pair.server.end(stream)
        #expect(try pair.toClient() == [.data(stream: stream, [3]), .ended(stream: stream)])
    }

    @Test func resetStreamIsGoneForBoth() throws {
        var pair = Pair()
        let stream = try pair.client.open([:])
        _ = try pair.toServer()
        _ = try pair.toClient()
        pair.server.reset(stream)
        #expect(pair.client.send([1], on: stream) == 1)
        #expect(try pair.toClient() == [.reset(stream: stream)])
        #expect(try pair.toServer().isEmpty)
    }

    @Test func senderWaitsForTheWindowOfAPeerThatCounts() throws {
        var pair = Pair()
        let stream = try pair.client.open([:])
        _ = try pair.toServer()
        let bytes = [UInt8](repeating: 7, count: 200_000)
        var sent = 0
        while pair.server.canSend(on: stream) { sent += pair.server.send(bytes[sent...], on: stream) }
        #expect(sent == SPDYFraming.defaultWindow)
        #expect(pair.server.send(bytes[sent...], on: stream) == 0)
        var received = 0
        for case .data(_, let part) in try pair.toClient() { received += part.count }
        #expect(received == sent)
        // Received, and not used yet: the window stays shut.
        _ = try pair.toServer()
        #expect(!pair.server.canSend(on: stream))
        pair.client.consumed(received, of: stream)
        _ = try pair.toServer()
        #expect(pair.server.canSend(on: stream))
    }

    /// The library of kubectl, crictl and the kubelet sends no WINDOW_UPDATE, ever.
    @Test func peerThatNeverMovesItsWindowIsNotWaitedFor() throws {
        var server = SPDYFraming(isServer: true)
        _ = try server.receive(opening)
        _ = server.takeOutput()
        let bytes = [UInt8](repeating: 7, count: 1 << 20)
        var sent = 0
        while sent < bytes.count {
            let count = server.send(bytes[sent...], on: 3)
            try #require(count > 0)
            sent += count
        }
        #expect(server.takeOutput().count > 1 << 20)
    }

    @Test func whatIsConsumedIsCredited() throws {
        var server = SPDYFraming(isServer: true)
        _ = try server.receive(opening)
        _ = server.takeOutput()
        let half = SPDYFraming.defaultWindow / 2
        _ = try server.receive(SPDYFrame.dataHead(id: 3, length: half, end: false) + [UInt8](repeating: 0, count: half))
        #expect(
            server.takeOutput()
                == hex("80 03 00 09  00 00 00 08  00 00 00 00  00 00 80 00     WINDOW_UPDATE 0, 32768"))
        server.consumed(half, of: 3)
        #expect(
            server.takeOutput()
                == hex("80 03 00 09  00 00 00 08  00 00 00 03  00 00 80 00     WINDOW_UPDATE 3, 32768"))
    }

    /// Bytes of nobody's making end in an error or in nothing, never in a trap.
    @Test func noiseIsHarmless() {
        var random = SeededGenerator(state: 42)
        for _ in 0..<2000 {
            var server = SPDYFraming(isServer: true)
            var bytes = opening
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            bytes += (0..<Int.random(in: 0..<64, using: &random)).map { _ in .random(in: 0...255, using: &random) }
            _ = try? server.receive(bytes)
        }
    }
}
