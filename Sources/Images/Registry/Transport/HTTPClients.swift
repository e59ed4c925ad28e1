internal import AsyncHTTPClient
internal import Core
internal import NIOCore
private import Synchronization

/// The HTTP clients of a registry client: one for each way to reach hosts, made when it is first needed.
final class HTTPClients: Sendable {
    /// What one client has and another has not.
    struct Kind: Hashable, Sendable {
        var trust: HostTrust
        var proxy: ProxySettings.Proxy?
        /// Seconds.
        var dialTimeout: Double?
    }

    private struct State {
        var clients: [Kind: HTTPClient] = [:]
        var isClosed = false
    }

    /// Certificates that change again and again must not fill the memory: then all but those under way begin anew.
    private static let limit = 64

    private let stallTimeout: Int64
    private let state = Mutex(State())

    init(stallTimeout: Int64) {
        self.stallTimeout = stallTimeout
    }

    /// - Throws: `BerthError` (`invalidArgument`) for certificates that are none.
    func client(_ kind: Kind) throws -> HTTPClient {
        let configuration = try configuration(kind)
        let (client, retired) = try state.withLock { state -> (HTTPClient, [HTTPClient]) in
            guard !state.isClosed else { throw BerthError(.unavailable, "the registry client is shut down") }
            if let known = state.clients[kind] { return (known, []) }
            var retired: [HTTPClient] = []
            if state.clients.count >= Self.limit {
                retired = Array(state.clients.values)
                state.clients = [:]
            }
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            state.clients[kind] = client
            return (client, retired)
        }
        if !retired.isEmpty {
            // What they carry fails as a broken connection does, and is tried again.
            Task { for client in retired { try? await client.shutdown() } }
        }
        return client
    }

    func shutdown() async {
        let clients = state.withLock { state in
            state.isClosed = true
            defer { state.clients = [:] }
            return Array(state.clients.values)
        }
        for client in clients { try? await client.shutdown() }
    }

    private func configuration(_ kind: Kind) throws -> HTTPClient.Configuration {
        var settings = HTTPClient.Configuration()
        // Redirects are followed by RegistrySession, since credentials must not go to another host.
        settings.redirectConfiguration = .disallow
        settings.timeout.connect = .nanoseconds(Int64((kind.dialTimeout ?? 15) * 1e9))
        settings.timeout.read = .seconds(stallTimeout)
        settings.decompression = .disabled
        // What fails is tried again here, with a reason to tell.
        settings.connectionPool.retryConnectionEstablishment = false
        if kind.trust != .system { settings.tlsConfiguration = try kind.trust.configuration() }
        if let proxy = kind.proxy {
            let login = proxy.login.map { HTTPClient.Authorization.basic(username: $0.username, password: $0.password) }
            settings.proxy = .server(host: proxy.host, port: proxy.port, authorization: login)
        }
        return settings
    }
}
