/// An error as a user sees it: what failed, why, and what can be done.
///
/// gRPC statuses, HTTP statuses and exit codes are mapped from `code` in one place each.
public struct BerthError: Error, Sendable {
    /// The kinds of failure that a client may tell apart, with the meaning of the gRPC status codes of the same names.
    public enum Code: String, Sendable, CaseIterable {
        case invalidArgument = "invalid argument"
        case notFound = "not found"
        case alreadyExists = "already exists"
        case failedPrecondition = "failed precondition"
        case permissionDenied = "permission denied"
        case unauthenticated = "unauthenticated"
        case resourceExhausted = "resource exhausted"
        case deadlineExceeded = "deadline exceeded"
        case cancelled = "cancelled"
        case unavailable = "unavailable"
        case unimplemented = "unimplemented"
        case aborted = "aborted"
        case dataLoss = "data loss"
        case `internal` = "internal"
    }

    public var code: Code
    /// Lower case, no final period, with the path, ID or value that was wrong.
    public var message: String
    public var cause: (any Error)?
    /// What the user can do about it; `nil` where the message says it already.
    public var advice: String?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil, advice: String? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
        self.advice = advice
    }
}

extension BerthError: CustomStringConvertible {
    /// The message, then each cause after a colon, then the advice in parentheses.
    public var description: String {
        var text = message
        if let cause { text += ": \(cause)" }
        if let advice { text += " (\(advice))" }
        return text
    }
}

extension BerthError {
    public static func invalid(field: String, value: some CustomStringConvertible, rule: String) -> BerthError {
        BerthError(.invalidArgument, "\(field): \"\(value)\" \(rule)")
    }

    public static func notFound(_ kind: String, _ id: String) -> BerthError {
        BerthError(.notFound, "\(kind) \"\(id)\" does not exist")
    }

    /// `error` as it is if it is a `BerthError`, else wrapped as `.internal` under `message`.
    public static func wrapping(_ error: any Error, _ message: String) -> BerthError {
        guard let known = error as? BerthError else { return BerthError(.internal, message, cause: error) }
        return BerthError(known.code, message, cause: known)
    }
}
