internal import Glibc
internal import Synchronization
public import SystemPackage

/// Code that runs in another namespace, on a thread made for it and discarded afterwards.
public enum NamespaceThread {
    /// Runs `body` on an own thread that has joined the namespace of `file`, and waits for it, blocking.
    ///
    /// - Throws: `Errno` where the thread or setns(2) fails, else what `body` throws.
    public static func runBlocking<Result: Sendable>(
        in file: FileDescriptor, type: NamespaceTypes, _ body: @escaping @Sendable () throws -> Result
    ) throws -> Result {
        let outcome = Outcome<Result>()
        let thread = try Thread.start { outcome.set(Swift.Result { try entering(file, type, body) }) }
        pthread_join(thread, nil)
        return try outcome.take()
    }

    /// As `runBlocking`, for tasks: no thread of the pool is blocked. Not cancellable.
    public static func run<Result: Sendable>(
        in file: FileDescriptor, type: NamespaceTypes, _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            do throws(Errno) {
                pthread_detach(
                    try Thread.start { continuation.resume(with: Swift.Result { try entering(file, type, body) }) })
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    private static func entering<Result>(
        _ file: FileDescriptor, _ type: NamespaceTypes, _ body: () throws -> Result
    ) throws -> Result {
        // A mount namespace cannot be joined while the root is shared with other threads.
        if type.contains(.mount) { try Syscall.unshareFilesystemState() }
        try Syscall.setns(file, type)
        return try body()
    }
}

private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)

    func set(_ value: Result<Value, any Error>) {
        result.withLock { $0 = value }
    }

    func take() throws -> Value {
        guard let result = result.withLock({ $0 }) else { throw Errno.ioError }
        return try result.get()
    }
}

/// OS threads.
enum Thread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a thread that is to be joined or detached.
    static func start(_ body: @escaping @Sendable () -> Void) throws(Errno) -> pthread_t {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Body(body))
        let result = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, argument.toOpaque())
        guard result == 0 else {
            argument.release()
            throw Errno(rawValue: result)
        }
        return thread
    }
}
