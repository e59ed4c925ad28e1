internal import ContainerdAPI
internal import Core
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
private import Glibc
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
        try probe(session.address)
        let transport = try Transport(
            target: .unixDomainSocket(path: session.address), transportSecurity: .plaintext,
            // The path itself is no authority that a Go server would accept.
            config: .defaults { $0.http2.authority = "localhost" })
        var interceptors: [any ClientInterceptor] = [SessionHeaders()]
        if session.isDebug { interceptors.append(CallPrinter()) }
        return try await withGRPCClient(transport: transport, interceptors: interceptors) { client in
            try await body(Connection(client))
        }
    }

    /// gRPC would go on trying; what is wrong with the socket is known at once.
    private static func probe(_ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw BerthError(.invalidArgument, "socket path \(path) is longer than 107 bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result != 0 else { return }
        let reason = errno
        let advice: String? =
            switch reason {
            case EACCES, EPERM: "are you root?"
            case ENOENT, ECONNREFUSED: path.contains("berth") ? "is berthd running?" : "is the daemon running?"
            default: nil
            }
        throw BerthError(
            .unavailable, "cannot connect to \(path): \(String(cString: strerror(reason)).lowercased())", advice: advice
        )
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

/// `--debug`: each call with its time on standard error.
private struct CallPrinter: ClientInterceptor {
    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        let start = ContinuousClock.now
        let response = try await next(request, context)
        let result =
            switch response.accepted {
            case .success: "ok"
            case .failure(let error): "\(error.code): \(error.message)"
            }
        TerminalOutput.standardError.writeLine(
            "\(context.descriptor.fullyQualifiedMethod): \(result) (\(start.duration(to: .now)))")
        return response
    }
}
