internal import Core
internal import Synchronization

/// One-time URLs: each is good for one connection within a minute.
final class StreamTokens: Sendable {
    static let lifetime = Duration.seconds(60)
    /// Outstanding at once.
    static let limit = 1000

    private struct Entry {
        let request: StreamRequest
        let expires: ContinuousClock.Instant
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// - Throws: `BerthError` (`resourceExhausted`) where too many were handed out and not used.
    func issue(_ request: StreamRequest, now: ContinuousClock.Instant = .now) throws -> String {
        var random = SystemRandomNumberGenerator()
        let token = (0..<4).map { _ in Self.hexadecimal(UInt32.random(in: .min ... .max, using: &random)) }.joined()
        try entries.withLock { entries in
            if entries.count >= Self.limit { entries = entries.filter { $0.value.expires > now } }
            guard entries.count < Self.limit else {
                throw BerthError(
                    .resourceExhausted, "\(entries.count) streaming requests wait for their client",
                    advice: "they expire after \(Self.lifetime)")
            }
            entries[token] = Entry(request: request, expires: now.advanced(by: Self.lifetime))
        }
        return token
    }

    /// - Returns: `nil` for a token that never was, was used, or is too old.
    func redeem(_ token: String, now: ContinuousClock.Instant = .now) -> StreamRequest? {
        guard let entry = entries.withLock({ $0.removeValue(forKey: token) }), entry.expires > now else { return nil }
        return entry.request
    }

    private static func hexadecimal(_ number: UInt32) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text
    }
}
