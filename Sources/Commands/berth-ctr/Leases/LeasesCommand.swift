internal import ArgumentParser

struct LeasesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leases", abstract: "Manage leases, which keep objects from garbage collection",
        discussion: """
            EXAMPLES:
              berth-ctr leases create --id mine --expires 1h
              berth-ctr leases ls
            """,
        subcommands: [ListLeases.self, CreateLease.self, RemoveLeases.self], aliases: ["lease"])
}
