internal import ArgumentParser
private import Foundation

struct SnapshotsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots", abstract: "Manage snapshots",
        discussion: """
            EXAMPLES:
              berth-ctr -n k8s.io snapshots ls
              berth-ctr -n k8s.io snapshots tree
              berth-ctr -n k8s.io snapshots usage
            """,
        subcommands: [
            ListSnapshots.self, SnapshotTree.self, SnapshotUsage.self, SnapshotInfo.self, SnapshotMounts.self,
            RemoveSnapshots.self,
        ], aliases: ["snapshot"])
}

struct SnapshotterOptions: ParsableArguments {
    @Option(help: "Snapshotter name, or CONTAINERD_SNAPSHOTTER (default: overlayfs)")
    var snapshotter: String?

    var name: String {
        snapshotter ?? ProcessInfo.processInfo.environment["CONTAINERD_SNAPSHOTTER"] ?? "overlayfs"
    }
}
