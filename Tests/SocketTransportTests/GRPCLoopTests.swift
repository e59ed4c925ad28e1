import GRPCCore
import NIOPosix
import SystemPackage
import TestSupport
import Testing

@testable import SocketTransport

struct GRPCLoopTests {
    private static let single = MethodDescriptor(fullyQualifiedService: "test.Where", method: "Single", type: .unary)
    private static let stream = MethodDescriptor(
        fullyQualifiedService: "test.Where", method: "Stream", type: .serverStreaming)

    /// They may block, which on the loop would hold up everybody else's calls.
    @Test func handlersAndTheirStreamsRunOffTheLoop() async throws {
        #expect(try await Self.places { [$0.handlersElsewhere] } == [Place.pool, Place.pool, Place.pool])
    }

    /// What the test above sees is the interceptor's doing.
    @Test func withoutTheInterceptorTheyRunOnIt() async throws {
        #expect(try await Self.places { _ in [] } == [Place.loop, Place.loop, Place.loop])
    }

    private enum Place {
        static let pool: UInt8 = 0
        static let loop: UInt8 = 1
        static var current: UInt8 { MultiThreadedEventLoopGroup.currentEventLoop == nil ? pool : loop }
    }

    /// - Returns: where the handler of a single answer ran, that of a stream, and what made the stream's answer.
    private static func places(_ interceptors: (GRPCLoop) -> [any ServerInterceptor]) async throws -> [UInt8] {
        let scratch = try ScratchDirectory("loop")
        let path = scratch.appending("grpc.sock")
        let loop = GRPCLoop()
        let server = GRPCServer(
            transport: SocketTransport.server(path, on: loop), services: [WhereService()],
            interceptors: interceptors(loop))
        let serving = Task { try await loop.run { try await server.serve() } }
        _ = try await server.listeningAddress
        let places = try await withGRPCClient(transport: SocketTransport.client(path.string)) { client in
            let one = try await client.unary(
                request: ClientRequest(message: []), descriptor: single, serializer: Bytes(), deserializer: Bytes(),
                options: .defaults
            ) { try $0.message }
            return try await one
                + client.serverStreaming(
                    request: ClientRequest(message: []), descriptor: stream, serializer: Bytes(), deserializer: Bytes(),
                    options: .defaults
                ) { response in
                    var all: [UInt8] = []
                    for try await message in response.messages { all += message }
                    return all
                }
        }
        server.beginGracefulShutdown()
        try await serving.value
        return places
    }

    private struct Bytes: MessageSerializer, MessageDeserializer {
        func serialize<Out: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Out { Out(message) }
        func deserialize<In: GRPCContiguousBytes>(_ bytes: In) throws -> [UInt8] {
            bytes.withUnsafeBytes { Array($0) }
        }
    }

    private struct WhereService: RegistrableRPCService {
        func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
            router.registerHandler(forMethod: single, deserializer: Bytes(), serializer: Bytes()) { _, _ in
                StreamingServerResponse(single: ServerResponse(message: [Place.current]))
            }
            router.registerHandler(forMethod: stream, deserializer: Bytes(), serializer: Bytes()) { _, _ in
                let handler = Place.current
                return StreamingServerResponse { writer in
                    try await writer.write([handler, Place.current])
                    return [:]
                }
            }
        }
    }
}
