internal import ArgumentParser
internal import CRIAPI
private import Terminal

struct ImageFilesystem: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "imagefsinfo", abstract: "Return image filesystem info",
        discussion: """
            EXAMPLE:
              berth-crictl imagefsinfo -o table
            """)

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.json

    func run() async throws {
        let info = try await Connection.open { cri in
            try await cri.images.imageFsInfo(.init(), options: Session.current.asking)
        }
        guard output == .table else {
            return try Output.statuses([StatusDocument(status: try MessageJSON.value(of: info), info: [:])], output)
        }
        Self.describe("Container", info.containerFilesystems)
        Self.describe("Image", info.imageFilesystems)
    }

    private static func describe(_ title: String, _ filesystems: [Runtime_V1_FilesystemUsage]) {
        Output.line("\(title) Filesystem ")
        for (index, filesystem) in filesystems.enumerated() {
            Output.line("TimeStamp[\(index)]: \(filesystem.timestamp)")
            Output.line("Disk[\(index)]: \(HumanText.decimalSize(filesystem.usedBytes.value))")
            Output.line("Inodes[\(index)]: \(filesystem.inodesUsed.value)")
            Output.line("Mountpoint[\(index)]: \(filesystem.fsID.mountpoint)")
        }
    }
}
