internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct SnapshotMounts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mounts", abstract: "Print the mount commands for a snapshot",
        discussion: """
            EXAMPLE:
              berth-ctr -n k8s.io snapshots mounts /mnt KEY
            """, aliases: ["m", "mount"])

    @OptionGroup var options: SnapshotterOptions

    @Argument(help: "Directory to mount on")
    var target: String

    @Argument(help: "Key of an active snapshot or view")
    var key: String

    func run() async throws {
        let mounts = try await Connection.open { daemon in
            try await doing("mounts of snapshot \(key)") {
                try await daemon.snapshots.mounts(
                    .with {
                        $0.snapshotter = options.name
                        $0.key = key
                    }, options: Session.current.callOptions
                ).mounts
            }
        }
        for mount in mounts {
            let options = mount.options.isEmpty ? "" : " -o \(mount.options.joined(separator: ","))"
            Output.line("mount -t \(mount.type) \(mount.source) \(target)\(options)")
        }
    }
}
