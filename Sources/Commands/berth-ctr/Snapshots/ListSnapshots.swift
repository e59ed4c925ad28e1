internal import ArgumentParser
internal import ContainerdAPI
private import Terminal

struct ListSnapshots: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List snapshots",
        discussion: """
            EXAMPLE:
              berth-ctr -n k8s.io snapshots ls
            """, aliases: ["ls"])

    @OptionGroup var options: SnapshotterOptions

    func run() async throws {
        let snapshots = try await Connection.open { try await $0.listSnapshots(options.name) }
        var table = TextTable(.ctr, header: ["KEY", "PARENT", "KIND"])
        for snapshot in snapshots { table.add([snapshot.name, snapshot.parent, snapshot.kind.word]) }
        Output.table(table)
    }
}

extension Connection {
    /// In order of their keys.
    func listSnapshots(_ snapshotter: String) async throws -> [Containerd_Services_Snapshots_V1_Info] {
        let infos = try await doing("list snapshots") {
            try await snapshots.list(.with { $0.snapshotter = snapshotter }, options: Session.current.callOptions) {
                var infos: [Containerd_Services_Snapshots_V1_Info] = []
                for try await message in $0.messages { infos += message.info }
                return infos
            }
        }
        return infos.sorted { $0.name < $1.name }
    }
}

extension Containerd_Services_Snapshots_V1_Kind {
    var word: String {
        switch self {
        case .view: "View"
        case .active: "Active"
        case .committed: "Committed"
        case .unknown, .UNRECOGNIZED: "Unknown"
        }
    }
}
