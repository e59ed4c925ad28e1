public import GRPCCore

/// Tells each call with its result and its time, for `--debug` of command lines.
public struct CallPrinter: ClientInterceptor {
    private let print: @Sendable (String) -> Void

    /// - Parameter print: takes a line, without its end.
    public init(_ print: @escaping @Sendable (String) -> Void) {
        self.print = print
    }

    public func intercept<Input: Sendable, Output: Sendable>(
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
        print("\(context.descriptor.fullyQualifiedMethod): \(result) (\(start.duration(to: .now)))")
        return response
    }
}
