internal import Core
internal import Images

/// How a client shows who it is to a registry (CRI `AuthConfig`).
public enum RegistryLogin: Sendable, Hashable {
    case basic(username: String, password: String)
    case identityToken(String)
    case registryToken(String)
}

extension Engine {
    /// Pulls and unpacks an image for pods.
    ///
    /// - Parameters:
    ///   - reference: in Docker's short or long form.
    ///   - server: the registry that the login is for, as `docker login` names it; another one does not get to see it.
    public func pullImage(
        _ reference: String, login: RegistryLogin? = nil, server: String = ""
    ) async throws -> ImageStatus {
        let login = try server.isEmpty || images.isRegistry(server, of: reference) ? login : nil
        let credentials: RegistryCredentials =
            switch login {
            case nil: .anonymous
            case .basic(let username, let password): .basic(username: username, password: password)
            case .identityToken(let token): .identityToken(token)
            case .registryToken(let token): .registryToken(token)
            }
        return try await images.pull(reference, credentials: credentials)
    }
}
