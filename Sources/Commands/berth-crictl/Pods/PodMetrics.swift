internal import ArgumentParser
private import CRIAPI

struct PodMetrics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metricsp", abstract: "List pod metrics, by the names of cAdvisor's",
        discussion: """
            EXAMPLE:
              berth-crictl metricsp -o yaml
            """)

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml")
    var output = OutputFormat.json

    func run() async throws {
        let metrics = try await Connection.open { cri in
            try await doing("pod metrics") {
                try await cri.runtime.listPodSandboxMetrics(.init(), options: Session.current.asking)
            }
        }
        try Output.message(metrics, output)
    }
}
