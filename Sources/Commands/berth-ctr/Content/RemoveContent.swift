internal import ArgumentParser
private import ContainerdAPI

struct RemoveContent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Permanently delete one or more blobs",
        discussion: """
            EXAMPLE:
              berth-ctr content rm sha256:DIGEST
            """, aliases: ["del", "remove", "rm"])

    @Argument(help: "Digests")
    var digests: [String]

    func run() async throws {
        try await Connection.open { daemon in
            for digest in digests {
                try await doing("delete content \(digest)") {
                    _ = try await daemon.content.delete(
                        .with { $0.digest = digest }, options: Session.current.callOptions)
                }
                Output.line(digest)
            }
        }
    }
}
