internal import ContainerdAPI
internal import Core
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
private import SocketTransport
private import Terminal

/// containerd's services on one socket.
struct Connection: Sendable {
    typealias Transport = HTTP2ClientTransport.Posix

    let content: Containerd_Services_Content_V1_Content.Client<Transport>
    let images: Containerd_Services_Images_V1_Images.Client<Transport>
    let snapshots: Containerd_Services_Snapshots_V1_Snapshots.Client<Transport>
    let diff: Containerd_Services_Diff_V1_Diff.Client<Transport>
    let leases: Containerd_Services_Leases_V1_Leases.Client<Transport>
    let namespaces: Containerd_Services_Namespaces_V1_Namespaces.Client<Transport>
    let events: Containerd_Services_Events_V1_Events.Client<Transport>
    let version: Containerd_Services_Version_V1_Version.Client<Transport>

    private init(_ client: GRPCClient<Transport>) {
        content = .init(wrapping: client)
        images = .init(wrapping: client)
        snapshots = .init(wrapping: client)
        diff = .init(wrapping: client)
        leases = .init(wrapping: client)
        namespaces = .init(wrapping: client)
        events = .init(wrapping: client)
        version = .init(wrapping: client)
    }

    /// Connects to the session's socket for as long as `body` runs.
    static func open<Result: Sendable>(_ body: @Sendable (Connection) async throws -> Result) async throws -> Result {
        let session = Session.current
        try SocketTransport.probe(session.address)
        let transport = try SocketTransport.client(session.address)
        var interceptors: [any ClientInterceptor] = [SessionHeaders()]
        if session.isDebug { interceptors.append(CallPrinter { TerminalOutput.standardError.writeLine($0) }) }
        return try await withGRPCClient(transport: transport, interceptors: interceptors) { client in
            try await body(Connection(client))
        }
    }

    static func describe(_ error: RPCError) -> String {
        switch error.code {
        case .unimplemented: return "the daemon does not serve this call: \(error.message)"
        case .deadlineExceeded: return "no answer within the time limit: \(error.message)"
        case .unavailable:
            return "the connection failed: \(error.message)" + (error.cause.map { ": \($0)" } ?? "")
        default: return error.message.isEmpty ? "\(error.code)" : error.message
        }
    }
}

/// Runs `body`, and puts what was being done in front of an error of the daemon.
func doing<Result>(
    _ what: String, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
) async throws -> Result {
    do {
        return try await body()
    } catch let error as RPCError {
        let code: BerthError.Code =
            switch error.code {
            case .notFound: .notFound
            case .alreadyExists: .alreadyExists
            case .failedPrecondition: .failedPrecondition
            case .unimplemented: .unimplemented
            default: .internal
            }
        throw BerthError(code, "\(what): \(Connection.describe(error))")
    }
}

/// The headers that say in which namespace, and under which lease, a call works.
private struct SessionHeaders: ClientInterceptor {
    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        let session = Session.current
        var request = request
        request.metadata.addString(session.namespace, forKey: "containerd-namespace")
        if let lease = session.lease { request.metadata.addString(lease, forKey: "containerd-lease") }
        return try await next(request, context)
    }
}
