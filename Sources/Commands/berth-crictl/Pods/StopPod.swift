internal import ArgumentParser
internal import CRIAPI

struct StopPod: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stopp", abstract: "Stop one or more running pods",
        discussion: """
            EXAMPLE:
              berth-crictl stopp 5f1c2a
            """)

    @Argument(help: ArgumentHelp("Pod ID or the beginning of one", valueName: "pod-id"))
    var pods: [String]

    func run() async throws {
        try await Connection.open { cri in
            for pod in pods { try await cri.stopPod(try await cri.podID(pod)) }
        }
    }
}

extension Connection {
    func stopPod(_ id: String) async throws {
        try await doing("stop pod \(id)") {
            _ = try await runtime.stopPodSandbox(.with { $0.podSandboxID = id }, options: Session.current.acting)
        }
        Output.line("Stopped sandbox \(id)")
    }
}
