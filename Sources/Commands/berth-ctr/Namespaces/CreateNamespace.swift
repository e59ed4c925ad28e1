internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct CreateNamespace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Create a new namespace",
        discussion: """
            EXAMPLE:
              berth-ctr namespaces create tests owner=me
            """, aliases: ["c"])

    @Argument(help: "Name")
    var name: String

    @Argument(help: ArgumentHelp("Labels", valueName: "key=value"))
    var labels: [String] = []

    func run() async throws {
        let labels = try LabelChanges(labels).labels
        try await Connection.open { daemon in
            try await doing("create namespace \(name)") {
                _ = try await daemon.namespaces.create(
                    .with {
                        $0.namespace.name = name
                        $0.namespace.labels = labels
                    }, options: Session.current.callOptions)
            }
        }
    }
}
