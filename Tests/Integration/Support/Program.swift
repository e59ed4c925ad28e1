private import Foundation
internal import Subprocess
internal import SystemPackage

/// A program that the tests drive: one of ours in bin/debug (or $BERTH_BIN), or one of Debian's.
struct Program: Sendable {
    let path: FilePath
    let arguments: [String]

    init(_ path: FilePath, _ arguments: [String] = []) {
        self.path = path
        self.arguments = arguments
    }

    /// The checkout's root, from this file's place in it.
    static let checkout = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        .removingLastComponent()

    static let folder =
        ProcessInfo.processInfo.environment["BERTH_BIN"].map { FilePath($0) }
        ?? checkout.appending("bin").appending("debug")

    static func ours(_ name: String, _ arguments: String...) -> Program {
        Program(folder.appending(name), arguments)
    }

    static func system(_ name: String, _ arguments: String...) -> Program {
        for folder in ["/usr/bin", "/usr/sbin", "/bin", "/sbin"] {
            let path = FilePath(folder).appending(name)
            if access(path.string, X_OK) == 0 { return Program(path, arguments) }
        }
        return Program(FilePath("/usr/bin").appending(name), arguments)
    }

    struct Output: Sendable, CustomStringConvertible {
        let command: String
        let status: TerminationStatus
        let standardOutput: String
        let standardError: String

        /// The exit status as a shell tells it: 128 + n for a signal.
        var code: Int32 {
            switch status {
            case .exited(let code): code
            case .signaled(let signal): 128 + signal
            }
        }

        var description: String {
            "\(command): status \(code)\n\(standardOutput)\(standardError)"
        }

        var lines: [Substring] { standardOutput.split(separator: "\n") }
    }

    struct Failure: Error, CustomStringConvertible {
        let output: Output
        var description: String { output.description }
    }

    /// Runs it to its end, whatever its status. Output is bounded at 8 MiB a stream.
    func run(
        _ more: String..., input: String = "", environment: [Environment.Key: String] = [:],
        workingDirectory: FilePath? = nil
    ) async throws -> Output {
        try await run(more, input: input, environment: environment, workingDirectory: workingDirectory)
    }

    func run(
        _ more: [String], input: String = "", environment: [Environment.Key: String] = [:],
        workingDirectory: FilePath? = nil
    ) async throws -> Output {
        let all = arguments + more
        let result = try await Subprocess.run(
            .path(path), arguments: Arguments(all), environment: .inherit.updating(environment.mapValues { $0 }),
            workingDirectory: workingDirectory, input: .string(input), output: .string(limit: 8 << 20),
            error: .string(limit: 8 << 20))
        return Output(
            command: ([path.lastComponent?.string ?? ""] + all).joined(separator: " "),
            status: result.terminationStatus, standardOutput: result.standardOutput,
            standardError: result.standardError)
    }

    /// Runs it and throws `Failure`, with all it printed, unless its status is 0.
    @discardableResult
    func check(
        _ more: String..., input: String = "", environment: [Environment.Key: String] = [:],
        workingDirectory: FilePath? = nil
    ) async throws -> Output {
        let output = try await run(more, input: input, environment: environment, workingDirectory: workingDirectory)
        guard output.code == 0 else { throw Failure(output: output) }
        return output
    }
}
