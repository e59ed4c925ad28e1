internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct RemoveNamespaces: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove one or more namespaces",
        discussion: """
            EXAMPLE:
              berth-ctr namespaces rm tests
            """, aliases: ["rm"])

    @Argument(help: "Names; each must be empty")
    var names: [String]

    func run() async throws {
        try await Connection.open { daemon in
            for name in names {
                try await doing("remove namespace \(name)") {
                    _ = try await daemon.namespaces.delete(
                        .with { $0.name = name }, options: Session.current.callOptions)
                }
                Output.line(name)
            }
        }
    }
}
