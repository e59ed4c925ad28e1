internal import ArgumentParser
private import CRIAPI
private import Terminal

struct Info: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Display information of the container runtime",
        discussion: """
            EXAMPLES:
              berth-crictl info
              berth-crictl info -q -o yaml
            """)

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml")
    var output = OutputFormat.json

    @Flag(name: [.short, .long], help: "Do not show verbose information")
    var quiet = false

    func run() async throws {
        let status = try await Connection.open { cri in
            try await cri.runtime.status(.with { $0.verbose = !quiet }, options: Session.current.asking)
        }
        var more: [JSONValue.Member] = []
        if !status.runtimeHandlers.isEmpty {
            more.append(
                .init("runtimeHandlers", .array(try status.runtimeHandlers.map { try MessageJSON.value(of: $0) })))
        }
        if status.hasFeatures { more.append(.init("features", try MessageJSON.value(of: status.features))) }
        try Output.statuses(
            [StatusDocument(status: try MessageJSON.value(of: status.status), info: status.info, more: more)], output)
    }
}
