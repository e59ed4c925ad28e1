internal import ArgumentParser
private import Terminal

struct RemoveLeases: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete leases",
        discussion: """
            EXAMPLE:
              berth-ctr leases rm --sync mine
            """, aliases: ["del", "remove", "rm"])

    @Flag(help: "Wait until what nothing keeps any more has been collected")
    var sync = false

    @Argument(help: "IDs")
    var ids: [String]

    func run() async throws {
        try await Connection.open { daemon in
            for id in ids {
                try await daemon.removeLease(id, sync: sync && id == ids.last)
                Output.line(id)
            }
        }
    }
}
