public import GRPCCore
internal import NIOCore
internal import NIOPosix

/// The thread of a server's or client's connections, on which gRPC's own tasks run, too.
///
/// Between a request's first frame and its answer's last one, gRPC and NIO hand each other some twenty pieces of work. On
/// the global pool each of them wakes a thread that has gone to sleep, and the event loop again; here they follow one another.
public final class GRPCLoop: Sendable {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let executor: LoopExecutor

    public init() {
        executor = LoopExecutor(group.next())
    }

    /// Runs `body` and its child tasks on this thread. They must not block it.
    public func run<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        try await withTaskExecutorPreference(executor, operation: body)
    }

    /// For a server that is served here, to be the outermost interceptor: what handlers do may block, and is done on the
    /// global pool.
    public var handlersElsewhere: any ServerInterceptor { HandlersOnPool() }
}

private final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) {
        self.loop = loop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

private struct HandlersOnPool: ServerInterceptor {
    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @Sendable (
                _ request: StreamingServerRequest<Input>, _ context: ServerContext
            ) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let response = try await withTaskExecutorPreference(globalConcurrentExecutor) {
            try await next(request, context)
        }
        // A single answer is there by now; those of a stream are made while they are sent.
        guard context.descriptor.type != .unary, case .success(let contents) = response.accepted else {
            return response
        }
        return StreamingServerResponse(metadata: contents.metadata) { writer in
            try await withTaskExecutorPreference(globalConcurrentExecutor) { try await contents.producer(writer) }
        }
    }
}
