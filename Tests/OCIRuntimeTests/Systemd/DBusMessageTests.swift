@testable internal import OCIRuntime
internal import Testing

@Suite struct DBusMessageTests {
    /// Ping() to "a.b" at "/p", of the interface "c.d".
    static let call: [UInt8] = [
        0x6c, 1, 0, 1,  // little endian, method call, no flags, protocol 1
        0, 0, 0, 0,  // length of the body
        7, 0, 0, 0,  // serial
        58, 0, 0, 0,  // length of the header's fields
        1, 1, 0x6f, 0, 2, 0, 0, 0, 0x2f, 0x70, 0, 0, 0, 0, 0, 0,  // 1, variant "o", "/p"; to a multiple of 8
        2, 1, 0x73, 0, 3, 0, 0, 0, 0x63, 0x2e, 0x64, 0, 0, 0, 0, 0,  // 2, variant "s", "c.d"
        3, 1, 0x73, 0, 4, 0, 0, 0, 0x50, 0x69, 0x6e, 0x67, 0, 0, 0, 0,  // 3, "Ping"
        6, 1, 0x73, 0, 3, 0, 0, 0, 0x61, 0x2e, 0x62, 0,  // 6, "a.b"
    ]

    @Test func callIsTheseBytes() throws {
        let message = DBusMessage(.call, serial: 7, path: "/p", interface: "c.d", member: "Ping", destination: "a.b")
        var expected = Self.call
        // The fields' length is without the padding that follows them.
        expected[12] = UInt8(expected.count - 16)
        while expected.count % 8 != 0 { expected.append(0) }
        #expect(message.encoded() == expected)
        #expect(try DBusMessage(expected) == message)
        #expect(try DBusMessage.length(of: expected.prefix(16)) == expected.count)
        #expect(try DBusMessage.length(of: expected.prefix(15)) == nil)
    }

    @Test func bodyStandsOnItsAlignments() throws {
        let body: [DBusValue] = [
            .byte(5), .uint64(0x0102_0304_0506_0708),
            .array(of: "(sv)", [.structure([.string("A"), .variant(.boolean(true))])]),
        ]
        var encoder = DBusEncoder()
        for value in body { encoder.append(value) }
        #expect(
            encoder.bytes == [
                5, 0, 0, 0, 0, 0, 0, 0,  // y, then t on a multiple of 8
                8, 7, 6, 5, 4, 3, 2, 1,
                16, 0, 0, 0, 0, 0, 0, 0,  // a: its length without the padding before its first element
                1, 0, 0, 0, 0x41, 0,  // "A"
                1, 0x62, 0, 0, 0, 0,  // variant "b", to a multiple of 4
                1, 0, 0, 0,
            ])
        var decoder = DBusDecoder(encoder.bytes)
        #expect(try decoder.values("yta(sv)") == body)
    }

    @Test func everyKindOfValueComesBack() throws {
        let body: [DBusValue] = [
            .boolean(false), .int32(-2), .uint32(.max), .int64(.min), .string("grün"), .objectPath("/a/b"),
            .signature("a{sv}"), .array(of: "t", []), .strings(["x", ""]), .bytes([1, 2]),
            .array(of: "{sv}", [.structure([.string("k"), .variant(.array(of: "y", []))])]),
            .variant(.variant(.byte(1))),
        ]
        var message = DBusMessage(.reply, serial: 1, body: body)
        message.replySerial = 9
        #expect(try DBusMessage(message.encoded()) == message)
    }

    @Test func whatIsCutOrChangedThrows() throws {
        let message = DBusMessage(
            .signal, serial: 3, path: "/p", interface: "c.d", member: "JobRemoved",
            body: [.uint32(1), .objectPath("/job/1"), .strings(["a"]), .variant(.string("done"))])
        let bytes = message.encoded()
        for length in 0..<bytes.count { #expect(throws: (any Error).self) { try DBusMessage(Array(bytes[..<length])) } }
        // Each byte as another one: an error or another message, and no trap.
        for index in bytes.indices {
            for value in [UInt8(0), 1, 0x7f, 0xff] {
                var changed = bytes
                changed[index] = value
                _ = try? DBusMessage(changed)
            }
        }
    }

    @Test(arguments: ["(", "a", "a(", "z", "()", "a{", "(s"])
    func brokenSignatureThrows(_ signature: String) {
        var decoder = DBusDecoder([UInt8](repeating: 0, count: 64))
        #expect(throws: (any Error).self) { try decoder.values(signature) }
    }

    @Test func nestingHasABound() {
        // A variant of a variant of a variant: each takes three bytes.
        var decoder = DBusDecoder(Array((0..<2000).map { _ in [1, 0x76, 0] as [UInt8] }.joined()))
        #expect(throws: (any Error).self) { try decoder.values("v") }
    }

    @Test func lengthHasABound() {
        var head = Array(Self.call.prefix(16))
        head[6] = 0xff
        #expect(throws: (any Error).self) { try DBusMessage.length(of: head) }
    }

    @Test func addressesOfBusesAreRead() {
        #expect(SystemdManager.busPath("unix:path=/run/bus,guid=12") == "/run/bus")
        #expect(SystemdManager.busPath("tcp:host=x;unix:guid=1,path=/b") == "/b")
        #expect(SystemdManager.busPath("unix:abstract=/x") == nil)
        #expect(SystemdManager.busPath(nil) == nil)
    }
}
