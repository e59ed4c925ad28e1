internal import CRIAPI
internal import Core
internal import Engine
internal import Foundation

extension RegistryLogin {
    /// - Returns: `nil` where the message shows nobody.
    static func decode(_ wire: Runtime_V1_AuthConfig) throws -> RegistryLogin? {
        if !wire.registryToken.isEmpty { return .registryToken(wire.registryToken) }
        if !wire.identityToken.isEmpty { return .identityToken(wire.identityToken) }
        if !wire.username.isEmpty { return .basic(username: wire.username, password: wire.password) }
        guard !wire.auth.isEmpty else { return nil }
        guard let data = Data(base64Encoded: wire.auth), let text = String(data: data, encoding: .utf8),
            let colon = text.firstIndex(of: ":")
        else {
            // The value is a secret: it is not repeated.
            throw BerthError(.invalidArgument, "auth.auth is not the base64 form of USER:PASSWORD")
        }
        return .basic(username: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
    }
}
