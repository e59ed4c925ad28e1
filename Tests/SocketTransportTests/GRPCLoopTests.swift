import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOPosix
import Synchronization
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

    /// A client that gives up resets its stream: the deadline itself does not come to the handler, and need not.
    @Test func aCallWhoseDeadlineHasPassedIsCancelled() async throws {
        let service = PatientService()
        try await Self.withServer(service) { _ in
            []
        } _: { client in
            var options = CallOptions.defaults
            options.timeout = .milliseconds(100)
            let error = await #expect(throws: RPCError.self) {
                try await Self.call(Self.single, client, options)
            }
            #expect(error?.code == .deadlineExceeded)
            try await eventually("the handler is cancelled") { service.isCancelled.load(ordering: .acquiring) }
        }
    }

    /// - Returns: where the handler of a single answer ran, that of a stream, and what made the stream's answer.
    private static func places(_ interceptors: (GRPCLoop) -> [any ServerInterceptor]) async throws -> [UInt8] {
        try await withServer(WhereService(), interceptors) { client in
            let one = try await call(single, client, .defaults)
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
    }

    private static func call(
        _ method: MethodDescriptor, _ client: GRPCClient<some ClientTransport>, _ options: CallOptions
    ) async throws -> [UInt8] {
        try await client.unary(
            request: ClientRequest(message: []), descriptor: method, serializer: Bytes(), deserializer: Bytes(),
            options: options
        ) { try $0.message }
    }

    private static func withServer<Result: Sendable>(
        _ service: some RegistrableRPCService, _ interceptors: (GRPCLoop) -> [any ServerInterceptor],
        _ body: (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Result
    ) async throws -> Result {
        let scratch = try ScratchDirectory("loop")
        let path = scratch.appending("grpc.sock")
        let loop = GRPCLoop()
        let server = GRPCServer(
            transport: SocketTransport.server(path, on: loop), services: [service], interceptors: interceptors(loop))
        let serving = Task { try await loop.run { try await server.serve() } }
        _ = try await server.listeningAddress
        let result = try await withGRPCClient(transport: SocketTransport.client(path.string), handleClient: body)
        server.beginGracefulShutdown()
        try await serving.value
        return result
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

    private final class PatientService: RegistrableRPCService {
        let isCancelled = Atomic(false)

        func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
            router.registerHandler(forMethod: single, deserializer: Bytes(), serializer: Bytes()) { _, _ in
                let (nothing, end) = AsyncStream.makeStream(of: Void.self)
                await withRPCCancellationHandler {
                    for await _ in nothing {}
                } onCancelRPC: {
                    self.isCancelled.store(true, ordering: .releasing)
                    end.finish()
                }
                return StreamingServerResponse(single: ServerResponse(message: []))
            }
        }
    }
}
