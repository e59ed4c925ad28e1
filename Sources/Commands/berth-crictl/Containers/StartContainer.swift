internal import ArgumentParser
internal import CRIAPI

struct StartContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Start one or more created containers",
        discussion: """
            EXAMPLE:
              berth-crictl start 3f2a91
            """)

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "container-id"))
    var containers: [String]

    func run() async throws {
        try await Connection.open { cri in
            for container in containers { try await cri.startContainer(try await cri.containerID(container)) }
        }
    }
}

extension Connection {
    func startContainer(_ id: String) async throws {
        try await doing("start container \(id)") {
            _ = try await runtime.startContainer(.with { $0.containerID = id }, options: Session.current.acting)
        }
        Output.line(id)
    }
}
