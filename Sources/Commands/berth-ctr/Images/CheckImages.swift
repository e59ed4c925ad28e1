internal import ArgumentParser
private import ContainerdAPI
private import Core
private import OCISpec
private import Terminal

struct CheckImages: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check existing images to ensure all content is available locally",
        discussion: """
            EXAMPLE:
              berth-ctr -n k8s.io images check
            """)

    @Flag(name: [.short, .long], help: "Print only the ready image refs (fully downloaded and unpacked)")
    var quiet = false

    @OptionGroup var snapshotter: SnapshotterOptions
    @OptionGroup var platform: PlatformOptions

    @Argument(help: "Filters of containerd's language")
    var filters: [String] = []

    private struct Finding {
        var status: String
        var size: String
        var isComplete: Bool
        var isUnpacked: Bool
    }

    func run() async throws {
        let platform = try platform.chosen()
        try await Connection.open { daemon in
            var table = TextTable(.ctr, header: ["REF", "TYPE", "DIGEST", "STATUS", "SIZE", "UNPACKED"])
            for image in try await daemon.listImages(filters) {
                let found = try await check(try Descriptor(image.target), platform, daemon)
                if quiet, found.isComplete, found.isUnpacked { Output.line(image.name) }
                table.add([
                    image.name, image.target.mediaType, image.target.digest, found.status, found.size,
                    "\(found.isUnpacked)",
                ])
            }
            if !quiet { Output.table(table) }
        }
    }

    private func check(_ target: Descriptor, _ platform: Platform, _ daemon: Connection) async throws -> Finding {
        let nothing = Finding(status: "unavailable (0/?)", size: "0 B/?", isComplete: false, isUnpacked: false)
        guard let (_, manifest) = try await daemon.manifest(of: target, platform: platform) else { return nothing }
        let parts = [manifest.config] + manifest.layers
        var present: [Descriptor] = []
        for part in parts where try await daemon.blobInfo(part.digest) != nil { present.append(part) }
        let isComplete = present.count == parts.count
        var isUnpacked = false
        if present.contains(manifest.config), let chain = try await daemon.config(of: manifest).rootfs.chainID() {
            isUnpacked = try await daemon.hasSnapshot("\(chain)", snapshotter.name)
        }
        func sum(_ parts: [Descriptor]) -> String {
            HumanText.binarySize(parts.reduce(0) { $0 + UInt64(max($1.size, 0)) })
        }
        return Finding(
            status: "\(isComplete ? "complete" : "incomplete") (\(present.count)/\(parts.count))",
            size: "\(sum(present))/\(sum(parts))", isComplete: isComplete, isUnpacked: isUnpacked)
    }
}
