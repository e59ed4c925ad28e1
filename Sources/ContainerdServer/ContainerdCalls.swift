internal import Core
internal import Engine
internal import GRPCCore

/// What the headers of a call say: whose namespace it is about, and which lease holds what it creates.
enum CallHeaders {
    static let namespace = "containerd-namespace"
    static let lease = "containerd-lease"

    @TaskLocal static var current: Metadata = [:]

    /// The scope of the call that runs.
    ///
    /// - Throws: `BerthError` (`failedPrecondition`) without a namespace, in the words that containerd's clients know.
    static func scope() throws -> StorageScope {
        guard let namespace = value(of: namespace), !namespace.isEmpty else {
            throw BerthError(.failedPrecondition, "namespace is required: failed precondition")
        }
        try NamespaceService.validate(namespace)
        return StorageScope(namespace: namespace, lease: value(of: lease).flatMap { $0.isEmpty ? nil : $0 })
    }

    private static func value(of header: String) -> String? {
        for value in current[stringValues: header] { return value }
        return nil
    }
}

/// Makes a call's headers known to its handler and turns its error into a status.
struct ContainerdCalls: ServerInterceptor {
    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @Sendable (
                _ request: StreamingServerRequest<Input>, _ context: ServerContext
            ) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        guard context.descriptor.service.fullyQualifiedService.hasPrefix("containerd.") else {
            return try await next(request, context)
        }
        let headers = request.metadata
        let response = try await CallHeaders.$current.withValue(headers) {
            do {
                return try await next(request, context)
            } catch {
                throw Self.status(of: error)
            }
        }
        guard case .success(let contents) = response.accepted else { return response }
        // A streamed answer is produced after the handler has returned.
        return StreamingServerResponse(metadata: contents.metadata) { writer in
            try await CallHeaders.$current.withValue(headers) {
                do {
                    return try await contents.producer(writer)
                } catch {
                    throw Self.status(of: error)
                }
            }
        }
    }

    static func status(of error: any Error) -> RPCError {
        switch error {
        case let error as RPCError: error
        case let error as BerthError: RPCError(code: code(of: error.code), message: "\(error)")
        case is CancellationError: RPCError(code: .cancelled, message: "the call was cancelled")
        default: RPCError(code: .internalError, message: "\(error)")
        }
    }

    private static func code(of code: BerthError.Code) -> RPCError.Code {
        switch code {
        case .invalidArgument: .invalidArgument
        case .notFound: .notFound
        case .alreadyExists: .alreadyExists
        case .failedPrecondition: .failedPrecondition
        case .permissionDenied: .permissionDenied
        case .unauthenticated: .unauthenticated
        case .resourceExhausted: .resourceExhausted
        case .deadlineExceeded: .deadlineExceeded
        case .cancelled: .cancelled
        case .unavailable: .unavailable
        case .unimplemented: .unimplemented
        case .aborted: .aborted
        case .dataLoss: .dataLoss
        case .internal: .internalError
        }
    }
}
