import GRPCCore
import NIOCore
import NIOEmbedded
import NIOPosix
import SystemPackage
import TestSupport
import Testing

@testable import SocketTransport

@Suite struct PingAnswererTests {
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
    private static let data: [UInt8] = [0, 0, 12, 0, 0, 0, 0, 0, 1] + Array(repeating: 6, count: 12)

    private static func ping(_ number: UInt8, acknowledges: Bool = false) -> [UInt8] {
        [0, 0, 8, 6, acknowledges ? 1 : 0, 0, 0, 0, 0, number, 2, 3, 4, 5, 6, 7, 8]
    }

    private func all(_ read: () throws -> ByteBuffer?) rethrows -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = try read() { bytes += buffer.readableBytesView }
        return bytes
    }

    /// However the bytes are cut into reads.
    @Test func pingsAreAnsweredAndNothingElseIsTouched() throws {
        let others = Self.preface + Self.settings
        let input =
            others + Self.ping(1) + Self.data + Self.ping(2) + Self.ping(3) + Self.ping(4, acknowledges: true)
            + Self.data
        for size in 1...input.count {
            let channel = EmbeddedChannel(handler: PingAnswerer(preface: Self.preface.count))
            for start in stride(from: 0, to: input.count, by: size) {
                try channel.writeInbound(ByteBuffer(bytes: input[start..<min(start + size, input.count)]))
            }
            let passed = try all { try channel.readInbound() }
            #expect(passed == others + Self.data + Self.ping(4, acknowledges: true) + Self.data, "reads of \(size)")
            let answers = try all { try channel.readOutbound() }
            #expect(answers == [1, 2, 3].flatMap { Self.ping($0, acknowledges: true) }, "reads of \(size)")
            _ = try channel.finish()
        }
    }

    /// As gRPC of Go does that reads hundreds of answers.
    @Test func aClientThatPingsAThousandTimesKeepsItsConnection() async throws {
        let scratch = try ScratchDirectory("transport")
        let path = scratch.appending("grpc.sock")
        let loop = GRPCLoop()
        let server = GRPCServer(transport: SocketTransport.server(path, on: loop), services: [])
        let serving = Task { try await loop.run { try await server.serve() } }
        _ = try await server.listeningAddress
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(unixDomainSocketPath: path.string) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await channel.executeThenClose { input, output in
            try await output.write(ByteBuffer(bytes: Self.preface + Self.settings))
            for number in 0..<1000 { try await output.write(ByteBuffer(bytes: Self.ping(UInt8(number % 256)))) }
            var bytes: [UInt8] = []
            for try await buffer in input {
                bytes += buffer.readableBytesView
                if bytes.count >= 1000 * 17 { break }
            }
            var answers = 0
            var isConnected = false
            while bytes.count >= 9 {
                let length = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
                #expect(bytes[3] != 7, "GOAWAY after \(answers) answers")
                if bytes[3] == 6 { answers += 1 }
                if bytes[3] == 4, bytes[4] == 1 { isConnected = true }
                bytes.removeFirst(min(bytes.count, 9 + length))
            }
            // The rest of them may be under way, behind the settings.
            #expect(answers > 990)
            #expect(isConnected)
        }
        server.beginGracefulShutdown()
        try await serving.value
    }
}
