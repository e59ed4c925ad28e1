internal import ArgumentParser

struct NamespacesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "namespaces", abstract: "Manage namespaces",
        discussion: """
            EXAMPLES:
              berth-ctr namespaces ls
              berth-ctr namespaces create tests owner=me
            """,
        subcommands: [ListNamespaces.self, CreateNamespace.self, RemoveNamespaces.self, LabelNamespace.self],
        aliases: ["namespace", "ns"])
}
