internal import CRIAPI
internal import ContainerdAPI
internal import Core
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
private import SocketTransport
private import Terminal

/// The two services of a CRI runtime, over one connection or two, and the events that Berth tells beside them.
struct Connection: Sendable {
    typealias Transport = HTTP2ClientTransport.Posix

    let runtime: Runtime_V1_RuntimeService.Client<Transport>
    let images: Runtime_V1_ImageService.Client<Transport>
    /// Of containerd's API; other runtimes may not serve it.
    let events: Containerd_Services_Events_V1_Events.Client<Transport>

    /// Connects to the session's sockets for as long as `body` runs.
    static func open<Result: Sendable>(_ body: @Sendable (Connection) async throws -> Result) async throws -> Result {
        let session = Session.current
        return try await client(session.runtimeSocket) { runtime in
            guard session.imageSocket != session.runtimeSocket else {
                return try await body(
                    Connection(
                        runtime: .init(wrapping: runtime), images: .init(wrapping: runtime),
                        events: .init(wrapping: runtime)))
            }
            return try await client(session.imageSocket) { images in
                try await body(
                    Connection(
                        runtime: .init(wrapping: runtime), images: .init(wrapping: images),
                        events: .init(wrapping: images)))
            }
        }
    }

    private static func client<Result: Sendable>(
        _ path: String, _ body: (GRPCClient<Transport>) async throws -> Result
    ) async throws -> Result {
        try SocketTransport.probe(path)
        return try await withGRPCClient(
            transport: SocketTransport.client(path),
            interceptors: Session.current.isDebug ? [CallPrinter { TerminalOutput.standardError.writeLine($0) }] : [],
            handleClient: body)
    }

    static func describe(_ error: RPCError) -> String {
        var cause = ""
        if let inner = error.cause, error.code == .unavailable { cause = ": \(inner)" }
        switch error.code {
        case .unimplemented: return "the runtime does not serve this call: \(error.message)"
        case .deadlineExceeded:
            return "no answer within the time limit (--timeout sets it): \(error.message)"
        case .unavailable: return "the connection failed: \(error.message)\(cause)"
        default: return error.message.isEmpty ? "\(error.code)" : error.message
        }
    }
}

/// Runs `body`, and puts what was being done in front of an error of the runtime.
func doing<Result>(
    _ what: String, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
) async throws -> Result {
    do {
        return try await body()
    } catch let error as RPCError {
        throw BerthError(.internal, "\(what): \(Connection.describe(error))")
    }
}
