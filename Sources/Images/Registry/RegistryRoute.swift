internal import Core
internal import Logging
private import Synchronization

/// The hosts that have a repository's content, in the order in which they are asked: its mirrors, then the registry.
final class RegistryRoute: Sendable {
    private let sessions: [RegistrySession]
    private let domain: String
    private let logger: Logger
    /// Mirrors that failed, by position, and why: they are not asked again.
    private let givenUp = Mutex<[Int: String]>([:])

    /// - Parameter sessions: the registry itself is the last.
    init(_ sessions: [RegistrySession], domain: String, logger: Logger) {
        self.sessions = sessions
        self.domain = domain
        self.logger = logger
    }

    /// The registry itself if it has the capability, else the first host that has it.
    ///
    /// - Throws: `BerthError` (`failedPrecondition`) if none has.
    func first(that capability: HostCapabilities) throws -> RegistrySession {
        let able = sessions.filter { $0.host.capabilities.contains(capability) }
        guard let session = able.first(where: { !$0.host.isMirror }) ?? able.first else { throw nobody(capability) }
        return session
    }

    private func nobody(_ capability: HostCapabilities) -> BerthError {
        BerthError(
            .failedPrecondition, "no host of registry \(domain) has the capability \(capability)",
            advice: "hosts.toml of \(domain) gives capabilities")
    }

    /// The result of the first host with the capability where `body` succeeds.
    ///
    /// - Throws: the registry's own error if it is the only host; else one that names all hosts with their reasons.
    func firstAnswer<Result>(
        _ what: String, that capability: HostCapabilities, _ body: (RegistrySession) async throws -> Result
    ) async throws -> Result {
        var reasons: [String] = []
        let able = sessions.enumerated().filter { $0.element.host.capabilities.contains(capability) }
        guard let last = able.last else { throw nobody(capability) }
        for (position, session) in able {
            if let reason = givenUp.withLock({ $0[position] }) {
                reasons.append("\(session.host.title): \(reason)")
                continue
            }
            switch await outcome(of: session, body) {
            case .success(let result): return result
            case .failure(let error):
                if Task.isCancelled || error is CancellationError { throw CancellationError() }
                guard position != last.offset else { throw Self.summary(what, error, reasons, last: session) }
                reasons.append("\(session.host.title): \(error)")
                if (error as? BerthError)?.code != .notFound { givenUp.withLock { $0[position] = "\(error)" } }
                logger.warning(
                    "a mirror failed, asking the next host",
                    metadata: ["mirror": "\(session.host.name)", "for": "\(what)", "reason": "\(error)"])
            }
        }
        // The last one was given up before.
        throw BerthError(.unavailable, "\(what): no host delivers it: \(reasons.joined(separator: "; "))")
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
        let all = (reasons + ["\(last.host.title): \(error)"]).joined(separator: "; ")
        return BerthError(known?.code ?? .unavailable, "\(what): no host delivers it: \(all)")
    }
}
