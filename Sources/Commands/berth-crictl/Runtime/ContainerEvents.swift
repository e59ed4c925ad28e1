internal import ArgumentParser
private import CRIAPI
private import Core
private import GRPCCore
private import Terminal

struct ContainerEvents: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Stream the events of containers until interrupted",
        discussion: """
            EXAMPLES:
              berth-crictl events                   # a line of JSON for each event
              berth-crictl events -o yaml
            """, aliases: ["event"])

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml")
    var output = OutputFormat.json

    func run() async throws {
        try await Connection.open { cri in
            try await doing("container events") {
                try await cri.runtime.getContainerEvents(.init(), options: Session.current.acting) { response in
                    for try await event in response.messages {
                        let value = try MessageJSON.value(of: event)
                        // One line each, so that a reader of a pipe knows where an event ends.
                        Output.line(output == .yaml ? "---\n" + (try value.renderedYAML()) : value.renderedCompactly())
                    }
                }
            }
        }
    }
}
