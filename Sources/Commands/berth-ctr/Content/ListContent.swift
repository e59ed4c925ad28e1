internal import ArgumentParser
private import ContainerdAPI
private import Terminal

struct ListContent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List all blobs in the store",
        discussion: """
            EXAMPLES:
              berth-ctr -n k8s.io content ls
              berth-ctr -n k8s.io content ls -q 'size>1000000'
            """, aliases: ["ls"])

    @Flag(name: [.short, .long], help: "Print only the blob digest")
    var quiet = false

    @Argument(help: "Filters of containerd's language")
    var filters: [String] = []

    func run() async throws {
        let blobs = try await Connection.open { daemon in
            try await doing("list content") {
                try await daemon.content.list(.with { $0.filters = filters }, options: Session.current.callOptions) {
                    var blobs: [Containerd_Services_Content_V1_Info] = []
                    for try await message in $0.messages { blobs += message.info }
                    return blobs
                }
            }
        }
        if quiet { return blobs.forEach { Output.line($0.digest) } }
        var table = TextTable(.ctrTabs, header: ["DIGEST", "SIZE", "AGE", "LABELS"])
        let now = Timestamp.now
        for blob in blobs {
            let age = Double(now.seconds - blob.createdAt.seconds)
            table.add([
                blob.digest, HumanText.decimalSize(UInt64(max(blob.size, 0))), HumanText.duration(seconds: age),
                Output.labels(blob.labels, none: "-"),
            ])
        }
        Output.table(table)
    }
}
