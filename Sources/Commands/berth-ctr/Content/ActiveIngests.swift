internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct ActiveIngests: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "active", abstract: "Display active transfers",
        discussion: """
            EXAMPLE:
              berth-ctr content active
            """)

    @Argument(help: "Regular expression of references")
    var pattern: String?

    func run() async throws {
        let matches = try ListFilters.pattern(pattern, field: "pattern")
        let statuses = try await Connection.open { daemon in
            try await daemon.content.listStatuses(.init(), options: Session.current.callOptions).statuses
        }
        var table = TextTable(.ctrTabs, header: ["REF", "SIZE", "AGE"])
        let now = Timestamp.now
        for status in statuses where matches(status.ref) {
            let age = Double(now.seconds - status.startedAt.seconds)
            table.add([
                status.ref, HumanText.decimalSize(UInt64(max(status.offset, 0))), HumanText.duration(seconds: age),
            ])
        }
        Output.table(table)
    }
}
