internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct LabelNamespace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label", abstract: "Set and clear labels for a namespace",
        discussion: """
            EXAMPLES:
              berth-ctr namespaces label tests owner=me
              berth-ctr namespaces label tests owner=        # takes the label away
            """)

    @Argument(help: "Name")
    var name: String

    @Argument(help: ArgumentHelp("Labels", valueName: "key=value"))
    var labels: [String]

    func run() async throws {
        let changes = try LabelChanges(labels)
        try await Connection.open { daemon in
            try await doing("label namespace \(name)") {
                _ = try await daemon.namespaces.update(
                    .with {
                        $0.namespace.name = name
                        $0.namespace.labels = changes.labels
                        $0.updateMask.paths = changes.paths
                    }, options: Session.current.callOptions)
            }
        }
    }
}
