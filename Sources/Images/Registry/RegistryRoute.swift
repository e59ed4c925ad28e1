internal import Core
internal import Logging
private import Synchronization

/// The hosts that have a repository's content, in the order in which they are asked: its mirrors, then the registry.
final class RegistryRoute: Sendable {
    private let sessions: [RegistrySession]
    private let logger: Logger
    /// Mirrors that failed, by position, and why: they are not asked again.
    private let givenUp = Mutex<[Int: String]>([:])

    /// - Parameter sessions: at least one; the registry itself is the last.
    init(_ sessions: [RegistrySession], logger: Logger) {
        self.sessions = sessions
        self.logger = logger
    }

    /// The result of the first host where `body` succeeds.
    ///
    /// - Throws: the registry's own error if it is the only host; else one that names all hosts with their reasons.
    func firstAnswer<Result>(
        _ what: String, _ body: (RegistrySession) async throws -> Result
    ) async throws -> Result {
        var reasons: [String] = []
        for (position, session) in sessions.enumerated() {
            if let reason = givenUp.withLock({ $0[position] }) {
                reasons.append("mirror \(session.host.name): \(reason)")
                continue
            }
            switch await outcome(of: session, body) {
            case .success(let result): return result
            case .failure(let error):
                if Task.isCancelled || error is CancellationError { throw CancellationError() }
                guard session.host.isMirror else { throw Self.summary(what, error, reasons, last: session) }
                reasons.append("mirror \(session.host.name): \(error)")
                if (error as? BerthError)?.code != .notFound { givenUp.withLock { $0[position] = "\(error)" } }
                logger.warning(
                    "a mirror failed, asking the next host",
                    metadata: ["mirror": "\(session.host.name)", "for": "\(what)", "reason": "\(error)"])
            }
        }
        throw BerthError(.internal, "\(what): there is no host to ask")
    }

    private func outcome<Result>(
        of session: RegistrySession, _ body: (RegistrySession) async throws -> Result
    ) async -> Swift.Result<Result, any Error> {
        do { return .success(try await body(session)) } catch { return .failure(error) }
    }

    private static func summary(
        _ what: String, _ error: any Error, _ reasons: [String], last: RegistrySession
    ) -> any Error {
        guard !reasons.isEmpty else { return error }
        let known = error as? BerthError
        let all = (reasons + ["registry \(last.host.name): \(error)"]).joined(separator: "; ")
        return BerthError(known?.code ?? .unavailable, "\(what): no host delivers it: \(all)")
    }
}
