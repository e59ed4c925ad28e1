internal import ArgumentParser
internal import CRIAPI

struct StopContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop one or more running containers",
        discussion: """
            EXAMPLES:
              berth-crictl stop --timeout 10 3f2a91
              berth-crictl stop -a
            """)

    @Option(
        name: [.short, .long], help: "Seconds to wait to kill the container after a graceful stop is requested")
    var timeout: Int64 = 0

    @Flag(name: [.short, .long], help: "Stop all running containers")
    var all = false

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "container-id"))
    var containers: [String] = []

    func validate() throws {
        guard all != !containers.isEmpty else {
            throw ValidationError(
                all ? "name containers or use --all, not both" : "name a container or use --all")
        }
    }

    func run() async throws {
        try await Connection.open { cri in
            let ids = all ? try await ContainerQuery().list(cri).map(\.id) : containers
            if ids.isEmpty { Output.line("No running containers found.") }
            for id in ids { try await cri.stopContainer(try await cri.containerID(id), timeout: timeout) }
        }
    }
}

extension Connection {
    func stopContainer(_ id: String, timeout: Int64) async throws {
        try await doing("stop container \(id)") {
            _ = try await runtime.stopContainer(
                .with {
                    $0.containerID = id
                    $0.timeout = timeout
                }, options: Session.current.acting)
        }
        Output.line(id)
    }
}
