public import GRPCCore
public import Logging

/// One line for each call: what it was, how long it took, and its error. Calls that only look are logged at debug.
public struct RequestLog: ServerInterceptor {
    private let logger: Logger

    public init(logger: Logger) {
        self.logger = logger
    }

    public func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @Sendable (
                _ request: StreamingServerRequest<Input>, _ context: ServerContext
            ) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let method = context.descriptor.method
        let start = ContinuousClock.now
        let response = try await next(request, context)
        switch response.accepted {
        case .success(let contents):
            let level: Logger.Level = Self.changes(method) ? .info : .debug
            logger.log(level: level, "\(method)", metadata: ["took": "\(Self.milliseconds(since: start))"])
            // A streamed answer is produced after the handler has returned.
            return StreamingServerResponse(metadata: contents.metadata) { [self] writer in
                do { return try await contents.producer(writer) } catch {
                    tell(method, error as? RPCError ?? RPCError(code: .unknown, message: "\(error)"), since: start)
                    throw error
                }
            }
        case .failure(let error):
            tell(method, error, since: start)
            return response
        }
    }

    private func tell(_ method: String, _ error: RPCError, since start: ContinuousClock.Instant) {
        logger.log(
            level: Self.level(of: error.code), "\(method) failed",
            metadata: [
                "took": "\(Self.milliseconds(since: start))", "code": "\(error.code)", "error": "\(error.message)",
            ])
    }

    /// What the caller did wrong is his to mend; what the node cannot do now is the operator's to know; the rest is a defect.
    static func level(of code: RPCError.Code) -> Logger.Level {
        switch code {
        case .invalidArgument, .notFound, .alreadyExists, .outOfRange, .unimplemented, .cancelled, .deadlineExceeded:
            .info
        case .failedPrecondition, .permissionDenied, .unauthenticated, .resourceExhausted, .unavailable, .aborted:
            .warning
        default: .error
        }
    }

    static func changes(_ method: String) -> Bool {
        ["Run", "Create", "Start", "Stop", "Remove", "Update", "Pull", "Checkpoint", "Restore", "Reopen"]
            .contains { method.hasPrefix($0) }
    }

    private static func milliseconds(since start: ContinuousClock.Instant) -> String {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        let fraction = "\(microseconds % 1000)"
        return "\(microseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)ms"
    }
}
