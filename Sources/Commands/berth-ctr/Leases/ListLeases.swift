internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct ListLeases: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List all active leases",
        discussion: """
            EXAMPLE:
              berth-ctr leases ls
            """, aliases: ["ls"])

    @Flag(name: [.short, .long], help: "Print only the lease id")
    var quiet = false

    @Argument(help: "Filters of containerd's language, such as 'id==mine'")
    var filters: [String] = []

    func run() async throws {
        let leases = try await Connection.open {
            try await $0.leases.list(.with { $0.filters = filters }, options: Session.current.callOptions).leases
        }
        if quiet { return leases.forEach { Output.line($0.id) } }
        var table = TextTable(.ctr, header: ["ID", "CREATED AT", "LABELS"])
        for lease in leases {
            let created = Timestamp(seconds: lease.createdAt.seconds).rfc3339(in: .local)
            table.add([lease.id, created, Output.labels(lease.labels, none: "-")])
        }
        Output.table(table)
    }
}
