public import Core
public import LaunchAPI
internal import SystemPackage

extension BerthError {
    /// A launcher's failure as a user reads it: `mount proc at /proc: operation not permitted (step 14 of 41)`.
    public init(launchFailure failure: Berth_Launch_V1_Failure) {
        var message = failure.words.isEmpty ? "launch" : failure.words
        // Engines look for runc's words here.
        if message.hasPrefix("run "), message.contains(" hook #") { message = "error running" + message.dropFirst(3) }
        if !failure.path.isEmpty, !message.contains(failure.path) { message += ": \(failure.path)" }
        if !failure.detail.isEmpty { message += ": \(failure.detail)" }
        if failure.error != 0 { message += ": \(Self.words(ofErrno: failure.error))" }
        // The last step is the exec, and its words are all that runc and a shell say: "exec /x: no such file or directory".
        if failure.step != 0, failure.step != failure.steps || !message.hasPrefix("exec ") {
            message += " (step \(failure.step) of \(failure.steps))"
        }
        self.init(Self.code(ofErrno: failure.error), message)
    }

    /// The system's text of an errno in lower case: `operation not permitted`.
    static func words(ofErrno error: Int32) -> String {
        let text = Errno(rawValue: error).description
        guard let second = text.dropFirst().first, second.isLowercase || second == " " else { return text }
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    private static func code(ofErrno error: Int32) -> Code {
        switch Errno(rawValue: error) {
        case .noSuchFileOrDirectory, .noSuchProcess: .notFound
        case .notPermitted, .permissionDenied: .permissionDenied
        case .invalidArgument, .notDirectory, .isDirectory, .fileNameTooLong, .tooManySymbolicLinkLevels,
            .execFormatError:
            .invalidArgument
        case .fileExists: .alreadyExists
        case .noMemory, .noSpace, .tooManyOpenFiles, .tooManyOpenFilesInSystem, .resourceTemporarilyUnavailable:
            .resourceExhausted
        case .timedOut: .deadlineExceeded
        default: .internal
        }
    }
}

/// What the launcher had to clamp or could not do, where the plan went on all the same.
public struct LaunchWarning: Sendable, Equatable, CustomStringConvertible {
    /// From 1; 0 where it belongs to no step.
    public var step: UInt32
    /// The step's words and what happened: `set oom score -998: permission denied: kept at 0`.
    public var description: String

    init(_ warning: Berth_Launch_V1_Warning) {
        step = warning.step
        description = warning.words
        if warning.error != 0 { description += ": \(BerthError.words(ofErrno: warning.error))" }
        if !warning.detail.isEmpty { description += ": \(warning.detail)" }
    }
}
