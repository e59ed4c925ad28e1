internal import ArgumentParser
private import ContainerdAPI

struct LabelContent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label", abstract: "Set and clear labels of content",
        discussion: """
            EXAMPLE:
              berth-ctr content label sha256:DIGEST keep=yes
            """)

    @Argument(help: "Digest")
    var digest: String

    @Argument(help: ArgumentHelp("Labels", valueName: "key=value"))
    var labels: [String]

    func run() async throws {
        let changes = try LabelChanges(labels)
        let labels = try await Connection.open { daemon in
            try await doing("label content \(digest)") {
                try await daemon.content.update(
                    .with {
                        $0.info.digest = digest
                        $0.info.labels = changes.labels
                        $0.updateMask.paths = changes.paths
                    }, options: Session.current.callOptions
                ).info.labels
            }
        }
        Output.line(Output.labels(labels))
    }
}
