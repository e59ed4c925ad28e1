internal import Core
private import Dispatch
private import Foundation
private import Glibc
internal import Images
private import SystemPackage

/// A content store in a temporary directory, between registry or archive and daemon.
enum Staging {
    /// The directory is gone after `body`, and after Ctrl-C too.
    static func with<Result: Sendable>(_ body: @Sendable (ContentStore) async throws -> Result) async throws -> Result {
        let parent = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/var/tmp"
        var template = Array("\(parent)/berth-ctr-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BerthError(
                .failedPrecondition, "make a directory in \(parent): \(String(cString: strerror(errno)).lowercased())",
                advice: "TMPDIR names another place")
        }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let interrupts = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                try? FileManager.default.removeItem(atPath: directory)
                exit(128 + number)
            }
            source.resume()
            return source
        }
        defer {
            try? FileManager.default.removeItem(atPath: directory)
            interrupts.forEach { $0.cancel() }
            for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
        }
        return try await body(try ContentStore(root: FilePath(directory)))
    }
}
