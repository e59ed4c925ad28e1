internal import Core
internal import Foundation

/// How a command ended, as the error stream tells it: Kubernetes' `Status` (meta/v1) as JSON from version 4 on.
enum CommandStatus: Equatable, Sendable {
    case success
    case exitCode(Int32)
    case failure(String)

    private struct Document: Codable {
        var metadata: [String: String]?
        var status: String?
        var message: String?
        var reason: String?
        var details: Details?
        var code: Int?
    }

    private struct Details: Codable {
        var causes: [Cause]?
    }

    private struct Cause: Codable {
        var reason: String?
        var message: String?
    }

    init(_ outcome: Result<Int32, any Error>) {
        switch outcome {
        case .success(0): self = .success
        case .success(let code): self = .exitCode(code)
        case .failure(let error): self = .failure("\(error)")
        }
    }

    /// - Throws: `BerthError` for bytes that are no status.
    init(json: [UInt8]) throws {
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(json))
        } catch {
            throw BerthError(
                .internal, "the error stream holds no status: \(String(decoding: json.prefix(200), as: UTF8.self))")
        }
        let code = document.details?.causes?.first { $0.reason == "ExitCode" }?.message.flatMap { Int32($0) }
        if document.status == "Success" {
            self = .success
        } else if document.reason == "NonZeroExitCode", let code {
            self = .exitCode(code)
        } else {
            self = .failure(document.message ?? "the command failed without a message")
        }
    }

    var json: [UInt8] {
        var document = Document(metadata: [:])
        switch self {
        case .success: document.status = "Success"
        case .exitCode(let code):
            document.status = "Failure"
            document.reason = "NonZeroExitCode"
            document.message = "command terminated with non-zero exit code: exit status \(code)"
            document.details = Details(causes: [Cause(reason: "ExitCode", message: "\(code)")])
        case .failure(let message):
            document.status = "Failure"
            document.reason = "InternalError"
            document.message = message
            document.code = 500
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(document)).map { Array($0) } ?? []
    }

    /// What versions before 4 have on the error stream; nothing for success.
    var text: [UInt8] {
        switch self {
        case .success: []
        case .exitCode(let code): Array("command terminated with non-zero exit code: exit status \(code)".utf8)
        case .failure(let message): Array(message.utf8)
        }
    }
}

/// Takes a stream of `{"Width":80,"Height":24}` apart.
struct TerminalSizeParser: Sendable {
    private struct Document: Codable {
        var Width: UInt16
        var Height: UInt16
    }

    /// Bytes without the end of a document.
    private static let limit = 1 << 10
    private var pending: [UInt8] = []

    /// - Returns: the last whole size in what came; earlier ones are past.
    /// - Throws: `BerthError` for what is no size.
    mutating func receive(_ bytes: [UInt8]) throws -> TerminalSize? {
        pending += bytes
        var size: TerminalSize?
        while let end = pending.firstIndex(of: UInt8(ascii: "}")) {
            let text = Data(pending[...end])
            pending.removeFirst(end + 1)
            guard let document = try? JSONDecoder().decode(Document.self, from: text) else {
                throw BerthError(
                    .invalidArgument, "the resize stream holds no size: \(String(decoding: text, as: UTF8.self))")
            }
            size = TerminalSize(columns: document.Width, rows: document.Height)
        }
        guard pending.count <= Self.limit else {
            throw BerthError(.invalidArgument, "the resize stream holds \(pending.count) bytes without a size")
        }
        return size
    }

    static func encode(_ size: TerminalSize) -> [UInt8] {
        Array("{\"Width\":\(size.columns),\"Height\":\(size.rows)}\n".utf8)
    }
}
