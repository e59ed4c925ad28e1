internal import ArgumentParser
private import ContainerdAPI

struct RemoveSnapshots: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove snapshots",
        discussion: """
            EXAMPLE:
              berth-ctr -n k8s.io snapshots rm KEY
            """, aliases: ["del", "remove", "rm"])

    @OptionGroup var options: SnapshotterOptions

    @Argument(help: "Keys")
    var keys: [String]

    func run() async throws {
        try await Connection.open { daemon in
            for key in keys {
                try await doing("remove snapshot \(key)") {
                    _ = try await daemon.snapshots.remove(
                        .with {
                            $0.snapshotter = options.name
                            $0.key = key
                        }, options: Session.current.callOptions)
                }
            }
        }
    }
}
