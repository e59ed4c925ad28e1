internal import ArgumentParser
private import CRIAPI

struct CheckpointContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Checkpoint one or more running containers",
        discussion: """
            EXAMPLE:
              berth-crictl checkpoint --export /var/tmp/checkpoint.tar 3f2a91
            """)

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Archive that the runtime writes, a path on its machine", valueName: "file"))
    var export = ""

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "container-id"))
    var containers: [String]

    func validate() throws {
        guard export.isEmpty || containers.count == 1 else {
            throw ValidationError(
                "--export names one archive, which holds one container; \(containers.count) are given")
        }
    }

    func run() async throws {
        try await Connection.open { cri in
            for container in containers {
                let id = try await cri.containerID(container)
                try await doing("checkpoint container \(id)") {
                    _ = try await cri.runtime.checkpointContainer(
                        .with {
                            $0.containerID = id
                            $0.location = export
                        }, options: Session.current.acting)
                }
                Output.line(id)
            }
        }
    }
}
