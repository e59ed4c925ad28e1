internal import Core
private import Glibc

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

private enum Attempt<Result> {
    case done(Result)
    case failed(TransientFailure)
}

extension RegistryClient {
    /// A server that asks for more is not waited for.
    static let longestPause = 120

    /// Tries `body` again, with growing pauses and jitter, while it fails in a way that may pass.
    ///
    /// - Parameters:
    ///   - attempts: tries in a row without progress.
    ///   - progress: bytes that have been transferred; a try that brought a MiB does not count.
    func retrying<Result>(
        _ what: String, attempts: Int, progress: () -> Int64 = { 0 }, _ body: () async throws -> Result
    ) async throws -> Result {
        var tries = 0
        var reached = progress()
        while true {
            switch try await attempt(body) {
            case .done(let result): return result
            case .failed(let failure):
                if progress() - reached >= 1 << 20 { tries = 0 }
                reached = max(reached, progress())
                tries += 1
                guard tries < attempts, failure.retryAfter ?? 0 <= Self.longestPause else {
                    throw BerthError(
                        .unavailable, tries > 1 ? "\(what): given up after \(tries) tries" : what, cause: failure)
                }
                try await Task.sleep(for: pause(after: tries, failure))
            }
        }
    }

    private func attempt<Result>(_ body: () async throws -> Result) async throws -> Attempt<Result> {
        do {
            return .done(try await body())
        } catch let failure as TransientFailure {
            try Task.checkCancellation()
            return .failed(failure)
        }
    }

    private func pause(after tries: Int, _ failure: TransientFailure) -> Duration {
        let backoff = min(configuration.backoff * Double(1 << min(tries - 1, 10)), .seconds(30))
        return max(backoff * Double.random(in: 0.75...1.25), .seconds(max(failure.retryAfter ?? 0, 0)))
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date such as `Wed, 21 Oct 2015 07:28:00 GMT`.
enum RetryAfter {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// - Parameter now: seconds since 1970.
    /// - Returns: seconds from now; `nil` for what is neither.
    static func seconds(_ text: String, now: Int = time(nil)) -> Int? {
        if let seconds = Int(text) { return seconds }
        let words = text.split(whereSeparator: { $0 == " " || $0 == ":" })
        guard words.count == 8, words[0].hasSuffix(","), words[7] == "GMT",
            let month = months.firstIndex(of: String(words[2])), let day = Int32(words[1]), let year = Int32(words[3]),
            let hour = Int32(words[4]), let minute = Int32(words[5]), let second = Int32(words[6]),
            (1...31).contains(day), (1970...9999).contains(year), (0...23).contains(hour), (0...59).contains(minute),
            (0...60).contains(second)
        else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, Int32(month), day)
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
        return timegm(&parts) - now
    }
}
