internal import ArgumentParser
private import ContainerdAPI

struct LabelImage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label", abstract: "Set and clear labels for an image",
        discussion: """
            EXAMPLES:
              berth-ctr images label docker.io/library/busybox:local team=web
              berth-ctr images label docker.io/library/busybox:local team=      # takes the label away
            """)

    @Flag(name: [.customShort("r"), .long], help: "Replace all labels")
    var replaceAll = false

    @Argument(help: "Name")
    var name: String

    @Argument(help: ArgumentHelp("Labels", valueName: "key=value"))
    var labels: [String]

    func run() async throws {
        let changes = try LabelChanges(labels)
        let labels = try await Connection.open { daemon in
            try await doing("label image \(name)") {
                try await daemon.images.update(
                    .with {
                        $0.image.name = name
                        $0.image.labels = changes.labels
                        $0.updateMask.paths = replaceAll ? ["labels"] : changes.paths
                    }, options: Session.current.callOptions
                ).image.labels
            }
        }
        Output.line(Output.labels(labels))
    }
}
