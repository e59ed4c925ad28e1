import Testing

@testable import Streaming

@Suite struct HTTPHeadTests {
    @Test func headIsFoundWhereverItsBytesAreSplit() throws {
        let text = "POST /exec/abc HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\r\nrest"
        let bytes = Array(text.utf8)
        for cut in 0..<bytes.count - 4 {
            var parser = HTTPHeadParser()
            var received = try parser.receive(Array(bytes[..<cut]))
            #expect(received == nil)
            received = try parser.receive(Array(bytes[cut...]))
            #expect(received?.head.first == "POST")
            #expect(received?.head.path == "/exec/abc")
            #expect(received?.head.has("connection", "upgrade") == true)
            #expect(received?.rest == Array("rest".utf8))
        }
    }

    @Test func endlessHeadIsRefused() throws {
        var parser = HTTPHeadParser()
        _ = try parser.receive(Array("GET / HTTP/1.1\r\n".utf8))
        #expect(throws: (any Error).self) {
            for _ in 0..<100 { _ = try parser.receive(Array(repeating: 0x61, count: 1000)) }
        }
    }

    @Test(arguments: ["\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "\u{0}\r\n\r\n"])
    func nonsenseIsRefused(_ text: String) {
        var parser = HTTPHeadParser()
        #expect(throws: (any Error).self) { try parser.receive(Array(text.utf8)) }
    }
}
