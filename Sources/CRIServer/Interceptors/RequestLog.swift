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
        var metadata: Logger.Metadata = ["took": "\(Self.milliseconds(since: start))"]
        switch response.accepted {
        case .success:
            logger.log(level: Self.changes(method) ? .info : .debug, "\(method)", metadata: metadata)
        case .failure(let error):
            metadata["code"] = "\(error.code)"
            metadata["error"] = "\(error.message)"
            let expected: Set<RPCError.Code> = [
                .notFound, .unimplemented, .invalidArgument, .cancelled, .deadlineExceeded,
            ]
            logger.log(
                level: expected.contains(error.code) ? .info : .error, "\(method) failed", metadata: metadata)
        }
        return response
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
