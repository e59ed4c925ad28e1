internal import Foundation

/// A program that ended with another status than 0.
public struct CommandFailure: Error, CustomStringConvertible {
    public let command: String
    public let status: Int32
    /// What it printed, on both outputs.
    public let output: String

    public var description: String { "\(command): exit \(status): \(output)" }
}

public enum Command {
    /// Runs a program and gives back what it printed.
    @discardableResult
    public static func run(_ program: String, _ arguments: [String], directory: String? = nil) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try runBlocking(program, arguments, directory: directory) })
            }
        }
    }

    private static func runBlocking(_ program: String, _ arguments: [String], directory: String?) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "-k", "5", "120", program] + arguments
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        // Files and not pipes: nothing has to be read while it runs.
        let folder = FileManager.default.temporaryDirectory
        let (output, errors) = (folder.appending(path: UUID().uuidString), folder.appending(path: UUID().uuidString))
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        defer { for file in [output, errors] { try? FileManager.default.removeItem(at: file) } }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        let text = String(decoding: try Data(contentsOf: output), as: UTF8.self)
        guard process.terminationStatus == 0 else {
            let complaint = String(decoding: try Data(contentsOf: errors), as: UTF8.self)
            throw CommandFailure(
                command: ([program] + arguments).joined(separator: " "), status: process.terminationStatus,
                output: complaint + text)
        }
        return text
    }
}
