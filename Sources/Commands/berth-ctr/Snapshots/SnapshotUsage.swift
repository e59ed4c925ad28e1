internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct SnapshotUsage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage", abstract: "Usage of snapshots",
        discussion: """
            EXAMPLES:
              berth-ctr -n k8s.io snapshots usage
              berth-ctr -n k8s.io snapshots usage -b KEY
            """)

    @OptionGroup var options: SnapshotterOptions

    @Flag(name: .customShort("b"), help: "Display size in bytes")
    var bytes = false

    @Argument(help: "Keys; all if there is none")
    var keys: [String] = []

    func run() async throws {
        let rows = try await Connection.open { daemon in
            var rows: [[String]] = []
            let keys = keys.isEmpty ? try await daemon.listSnapshots(options.name).map(\.name) : keys
            for key in keys {
                let usage = try await doing("usage of snapshot \(key)") {
                    try await daemon.snapshots.usage(
                        .with {
                            $0.snapshotter = options.name
                            $0.key = key
                        }, options: Session.current.callOptions)
                }
                let size = bytes ? "\(usage.size)" : HumanText.binarySize(UInt64(max(usage.size, 0)))
                rows.append([key, size, "\(usage.inodes)"])
            }
            return rows
        }
        var table = TextTable(.ctr, header: ["KEY", "SIZE", "INODES"])
        for row in rows { table.add(row) }
        Output.table(table)
    }
}
