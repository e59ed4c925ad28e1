internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct ListNamespaces: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List namespaces",
        discussion: """
            EXAMPLE:
              berth-ctr namespaces ls -q
            """, aliases: ["ls"])

    @Flag(name: [.short, .long], help: "Print only the namespace name")
    var quiet = false

    func run() async throws {
        let namespaces = try await Connection.open {
            try await $0.namespaces.list(.init(), options: Session.current.callOptions).namespaces
        }
        if quiet { return namespaces.forEach { Output.line($0.name) } }
        var table = TextTable(.ctr, header: ["NAME", "LABELS"])
        for namespace in namespaces { table.add([namespace.name, Output.labels(namespace.labels)]) }
        Output.table(table)
    }
}
