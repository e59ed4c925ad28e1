internal import ArgumentParser
private import Core
private import Terminal

struct GetContent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Get the data for an object",
        discussion: """
            EXAMPLE:
              berth-ctr -n k8s.io content get sha256:DIGEST > blob
            """)

    @Argument(help: "Digests")
    var digests: [String]

    func run() async throws {
        let digests = try digests.map { try Digest($0) }
        try await Connection.open { daemon in
            for digest in digests {
                try await daemon.readBlob(digest) { TerminalOutput.standardOutput.write($0) }
            }
        }
    }
}
