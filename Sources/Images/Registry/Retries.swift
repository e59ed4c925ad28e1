internal import AsyncHTTPClient
internal import Core
internal import NIOCore

/// A failure that may pass when the request is made again.
struct TransientFailure: Error, CustomStringConvertible {
    let description: String
    /// Seconds that the server asked for.
    let retryAfter: Int?

    init(_ description: String, retryAfter: Int? = nil) {
        self.description = description
        self.retryAfter = retryAfter
    }
}

extension RegistryClient {
    /// Sends a request; failures of the connection become transient.
    func execute(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        do {
            // The whole transfer counts, so this is long; a stall ends it sooner.
            return try await http.execute(request, timeout: .hours(12))
        } catch let error as CancellationError {
            throw error
        } catch {
            try Task.checkCancellation()
            throw TransientFailure("\(request.method.rawValue) \(request.url.prefix { $0 != "?" }): \(error)")
        }
    }

    /// Tries `body` again, with growing pauses and jitter, while it fails in a way that may pass.
    func retrying<Result>(_ what: String, _ body: () async throws -> Result) async throws -> Result {
        var attempt = 1
        while true {
            let failure: TransientFailure
            do {
                return try await body()
            } catch let transient as TransientFailure {
                failure = transient
            } catch let error as HTTPClientError {
                failure = TransientFailure("\(error)")
            }
            try Task.checkCancellation()
            guard attempt < configuration.attempts else {
                throw BerthError(.unavailable, "\(what): given up after \(attempt) tries", cause: failure)
            }
            let pause = min(Double(failure.retryAfter ?? 0) + 0.25 * Double(1 << attempt), 30)
            try await Task.sleep(for: .seconds(pause * Double.random(in: 0.75...1.25)))
            attempt += 1
        }
    }
}
