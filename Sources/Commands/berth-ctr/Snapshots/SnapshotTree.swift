internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct SnapshotTree: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree", abstract: "Display tree view of snapshot branches",
        discussion: """
            EXAMPLE:
              berth-ctr -n k8s.io snapshots tree
            """)

    @OptionGroup var options: SnapshotterOptions

    func run() async throws {
        let snapshots = try await Connection.open { try await $0.listSnapshots(options.name) }
        let names = Set(snapshots.map(\.name))
        let children = Dictionary(grouping: snapshots, by: \.parent).mapValues { $0.map(\.name) }
        // A parent may have been removed since the list was begun.
        var waiting =
            snapshots.filter { !names.contains($0.parent) }.map { (name: $0.name, level: 0) }.reversed() as Array
        while let (name, level) = waiting.popLast() {
            let margin = level == 0 ? " " : String(repeating: "  ", count: level) + "\\_ "
            Output.line(margin + name)
            waiting += (children[name] ?? []).reversed().map { ($0, level + 1) }
        }
    }
}
