internal import ArgumentParser
private import Core
private import Foundation
private import Images

struct IngestContent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest", abstract: "Accept content from standard input into the store",
        discussion: """
            EXAMPLE:
              berth-ctr content ingest --expected-digest sha256:DIGEST mykey < FILE
            """)

    @Option(help: "Validate against provided size")
    var expectedSize: Int64?

    @Option(help: "Verify content against expected digest")
    var expectedDigest: String?

    @Argument(help: "Name of the transfer, for content active")
    var key: String

    func run() async throws {
        let expected = try expectedDigest.map { try Digest($0) }
        let digest = try await Connection.open { daemon in
            try await daemon.ingest(key, size: expectedSize, expected: expected) {
                try FileHandle.standardInput.read(upToCount: 1 << 20).map { Array($0) } ?? []
            }
        }
        Output.line(digest)
    }
}
