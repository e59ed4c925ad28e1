internal import Core
public import GRPCCore
internal import NIOCore

/// Turns every error of a handler into a gRPC status: the only place that knows which code is which.
///
/// To be the innermost interceptor: gRPC makes "unknown" of an error that passes through another one.
public struct ErrorMapping: ServerInterceptor {
    public init() {}

    public func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @Sendable (
                _ request: StreamingServerRequest<Input>, _ context: ServerContext
            ) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let response: StreamingServerResponse<Output>
        do {
            response = try await next(request, context)
        } catch {
            throw Self.status(of: error)
        }
        let contents: StreamingServerResponse<Output>.Contents
        switch response.accepted {
        case .success(let accepted): contents = accepted
        case .failure(let error): return StreamingServerResponse(error: Self.status(of: error.cause ?? error))
        }
        return StreamingServerResponse(metadata: contents.metadata) { writer in
            do {
                return try await contents.producer(writer)
            } catch {
                throw Self.status(of: error)
            }
        }
    }

    public static func status(of error: any Error) -> RPCError {
        switch error {
        case let error as RPCError: error
        case let error as BerthError: RPCError(code: code(of: error.code), message: "\(error)")
        case is CancellationError: RPCError(code: .cancelled, message: "the call was cancelled")
        // What a stream writes to a client that has gone.
        case ChannelError.ioOnClosedChannel: RPCError(code: .cancelled, message: "the client has closed its connection")
        default: RPCError(code: .internalError, message: "\(error)")
        }
    }

    static func code(of code: BerthError.Code) -> RPCError.Code {
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
