internal import Core

/// `USERNAME[:PASSWORD]` of `--creds` and `--user`.
public struct Credentials: Equatable, Sendable {
    public var username: String
    public var password: String

    /// - Throws: `BerthError` (`invalidArgument`); the text, which holds a secret, is not in it.
    public init(parsing text: String, field: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, !name.isEmpty else {
            throw BerthError(.invalidArgument, "\(field): the user name must not be empty")
        }
        username = String(name)
        password = parts.count == 2 ? String(parts[1]) : ""
    }
}
