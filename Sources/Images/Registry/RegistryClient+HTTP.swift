internal import AsyncHTTPClient
internal import Core
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

extension RegistryClient {
    /// Sends a request to any host; failures of the connection become transient ones.
    ///
    /// - Parameters:
    ///   - host: the one that is asked, or that has named the address.
    ///   - limit: until the head of the response is here.
    func execute(
        _ request: HTTPClientRequest, of host: RegistryHost, limit: TimeAmount
    ) async throws -> HTTPClientResponse {
        let http = try http(for: request.url, of: host)
        do {
            return try await http.execute(request, timeout: limit)
        } catch {
            throw try Self.failure(error, "\(request.method.rawValue) \(RegistryAddress.shown(request.url))")
        }
    }

    /// Delivers a response's body piece by piece; a broken connection is a transient failure.
    static func forEachPiece(of response: HTTPClientResponse, _ take: (ByteBuffer) throws -> Void) async throws {
        do {
            for try await buffer in response.body { try take(buffer) }
        } catch {
            throw try failure(error, "the connection broke")
        }
    }

    /// A body that has to end soon and be small: a server can neither fill the memory nor hold the caller up.
    func document(_ response: HTTPClientResponse, limit: Int, what: String) async throws -> [UInt8] {
        try await Self.within(.seconds(configuration.stallTimeout), what) {
            var bytes: [UInt8] = []
            try await Self.forEachPiece(of: response) { buffer in
                guard bytes.count + buffer.readableBytes <= limit else {
                    throw BerthError(.resourceExhausted, "\(what) is larger than \(limit) bytes")
                }
                bytes += buffer.readableBytesView
            }
            return bytes
        }
    }

    /// Reads a short body to its end, so that the connection can be used again; gives a long one up with its connection.
    func drain(_ response: HTTPClientResponse) async {
        _ = try? await Self.within(.seconds(5), "answer") {
            var count = 0
            try await Self.forEachPiece(of: response) { buffer in
                count += buffer.readableBytes
                guard count <= 64 << 10 else { throw BerthError(.resourceExhausted, "answer is too long") }
            }
        }
    }

    private static func within<Result: Sendable>(
        _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Pause.wait(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else {
                throw TransientFailure("\(what) did not end within \(limit)")
            }
            return result
        }
    }

    /// What an error of the HTTP client means: cancellation, a failure that may pass, or one that stays.
    private static func failure(_ error: any Error, _ what: String) throws -> any Error {
        try Task.checkCancellation()
        switch error {
        case is BerthError, is TransientFailure, is CancellationError: return error
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            return BerthError(
                .unavailable, "\(what): no trusted connection: \(error)",
                advice:
                    "the authority of a private registry goes into its hosts.toml as ca; images.insecure_tls checks nothing"
            )
        case let error as HTTPClientError where [.invalidURL, .emptyHost, .emptyScheme].contains(error):
            return BerthError(.unavailable, "\(what): \(error)")
        default: return TransientFailure("\(what): \(reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? NIOConnectionError else { return "\(error)" }
        if let first = error.connectionErrors.first { return "could not connect to \(first.target): \(first.error)" }
        return "could not find the address of \(error.host): \(error.dnsAError.map { "\($0)" } ?? "no answer")"
    }
}
