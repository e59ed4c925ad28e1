import NRIAPI
import SwiftProtobuf
import Testing

@testable import NRI

@Suite struct WireTests {
    /// One call and its answer, as a plugin in Go has them on the wire.
    private let registration: [UInt8] =
        [0, 0, 0, 2, 0, 0, 0, 50]  // piece for the runtime's service, 50 bytes
        + [0, 0, 0, 40, 0, 0, 0, 1, 1, 0]  // 40 bytes of data, stream 1, request, no flags
        + [0x0A, 3] + Array("a.B".utf8)  // service
        + [0x12, 14] + Array("RegisterPlugin".utf8)  // method
        + [0x1A, 11, 0x0A, 5] + Array("probe".utf8) + [0x12, 2] + Array("07".utf8)  // payload: name and index
        + [0x20, 0x80, 0xA8, 0xD6, 0xB9, 0x07]  // 2 s

    @Test func aPluginsCallIsReadWhateverThePiecesThatItComesIn() throws {
        for size in [1, 3, 8, 17, registration.count] {
            var session = PluginSession()
            var events: [PluginSession.Event] = []
            for start in stride(from: 0, to: registration.count, by: size) {
                events += try session.receive(Array(registration[start..<min(start + size, registration.count)]))
            }
            guard case .request(let stream, let request)? = events.first, events.count == 1 else {
                Issue.record("\(events) in pieces of \(size)")
                continue
            }
            #expect(stream == 1)
            #expect(request.service == "a.B")
            #expect(request.method == "RegisterPlugin")
            #expect(request.timeoutNano == 2_000_000_000)
            let given = try NRIRegisterPluginRequest(serializedBytes: Array(request.payload))
            #expect(given.pluginName == "probe")
            #expect(given.pluginIdx == "07")
        }
    }

    @Test func answersAndCallsHaveTheirConnectionAndStream() throws {
        #expect(
            PluginSession.answer(1, .success([]))
                == [0, 0, 0, 2, 0, 0, 0, 10]  // the runtime's service
                + [0, 0, 0, 0, 0, 0, 0, 1, 2, 0])  // stream 1, response, empty
        #expect(
            PluginSession.answer(3, .failure(.of(.unimplemented, "no")))
                == [0, 0, 0, 2, 0, 0, 0, 18] + [0, 0, 0, 8, 0, 0, 0, 3, 2, 0]
                + [0x0A, 6, 0x08, 12, 0x12, 2] + Array("no".utf8))
        var session = PluginSession()
        let first = try session.call("s", "m", [9], timeout: .zero)
        #expect(
            first.bytes
                == [0, 0, 0, 1, 0, 0, 0, 19]  // the plugin's service
                + [0, 0, 0, 9, 0, 0, 0, 1, 1, 0]
                + [0x0A, 1, UInt8(ascii: "s"), 0x12, 1, UInt8(ascii: "m"), 0x1A, 1, 9])
        #expect(try session.call("s", "m", [], timeout: .zero).stream == 3)
    }

    @Test func answersComeToTheirCallsAndLateOnesToNobody() throws {
        var session = PluginSession()
        let (first, _) = try session.call("s", "m", [], timeout: .zero)
        let (second, _) = try session.call("s", "m", [], timeout: .zero)
        session.giveUp(first)
        func answer(_ stream: UInt32, _ response: TTRPCResponse) throws -> [UInt8] {
            let frame = TTRPCFrame(stream: stream, kind: .response, data: try response.serializedBytes())
            return Multiplexing.encode(frame.encoded(), on: Multiplexing.pluginService)
        }
        let refusal = TTRPCResponse.with { $0.status = .of(.internal, "not today") }
        let events = try session.receive(answer(first, TTRPCResponse()) + answer(second, refusal))
        guard case .answer(second, .failure(let failure))? = events.first, events.count == 1 else {
            Issue.record("\(events)")
            return
        }
        #expect(failure == .status(code: 13, message: "not today"))
        #expect(!failure.isFatal)
    }

    @Test func whatIsTooLargeIsRefusedWithoutBeingKept() throws {
        var decoder = TTRPCDecoder()
        let size = TTRPCFrame.dataLimit + 1
        var heading: [UInt8] = []
        heading.append(bigEndian: UInt32(size))
        heading += [0, 0, 0, 5, 1, 0]
        decoder.append(heading)
        #expect(try decoder.next() == .oversized(stream: 5, kind: .request, length: size))
        decoder.append([UInt8](repeating: 1, count: size))
        #expect(try decoder.next() == nil)
        let next = TTRPCFrame(stream: 7, kind: .request, data: [1, 2])
        decoder.append(next.encoded())
        #expect(try decoder.next() == .frame(next))

        var session = PluginSession()
        #expect(throws: CallFailure.self) {
            try session.call("s", "m", [UInt8](repeating: 0, count: TTRPCFrame.dataLimit), timeout: .zero)
        }
    }

    @Test func otherBytesEndTheConversation() {
        let broken: [[UInt8]] = [
            [0, 0, 0, 1, 0xFF, 0, 0, 0],  // a piece of 4 GiB
            [0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0],  // kind 9
            [0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2],  // a stream
            [0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0],  // an answer to nothing, where requests come
            [0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0],  // a request where answers come
        ]
        for bytes in broken {
            var session = PluginSession()
            #expect(throws: ProtocolViolation.self, "\(bytes)") { try session.receive(bytes) }
        }
    }

    @Test func longMessagesGoInTwoPiecesWithinWhatReadersTakeWhole() {
        let message = [UInt8](repeating: 7, count: 10_000)
        let bytes = Multiplexing.encode(message, on: 1)
        #expect(bytes[4..<8] == [0, 0, 0x10, 0])
        #expect(bytes.count == message.count + 2 * Multiplexing.headingLength)
        var incoming = Demultiplexer()
        incoming.append(bytes)
        var joined: [UInt8] = []
        while let next = try? incoming.next() { joined += next.bytes }
        #expect(joined == message)
    }
}
